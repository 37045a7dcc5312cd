// The browser side of EmbedScatter. Python sends four props, so that a change sends little:
//   points  where M points are            paint  which group each one is in, with names and colours
//   marked  a bit for each selected one   tiles  a sheet with a picture of each, or a ticket to ask for them
// and gets select events: {kind: 'click', index, add}, {kind: 'lasso', polygon, add}, {kind: 'group', group, add} or
// {kind: 'clear'}. Plotly draws the points; the selection lies on a canvas above it, so that nothing is drawn twice.
const find = (query) => element.querySelector(query);
const stage = find('.uld-map-stage'), plot = find('.uld-map-plot'), over = find('.uld-map-over'), tip = find('.uld-map-tip');
const legend = find('.uld-map-legend'), said = find('.uld-map-said');
const MOST_DOTS = 30000, ANIMATED = 5000, FAR = 14;
let Plotly = null, points = null, paint = null, x, y, group, members = [], counts = [], mask = null, chosen = 0;
let hidden = new Set(), cursor = -1, drawing = false, trail = null, add = false, asked = new Map(), wired = false;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const decode = (text, Kind) => new Kind(bytes(text).buffer);
const still = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;
const emit = (kind, more = {}) => trigger('select', { kind, ...more });

// ---------------------------------------------------------------- drawing

const size = () => (x.length > 100000 ? 2 : x.length > 20000 ? 3 : x.length > 3000 ? 5 : 7);
const layout = () => ({
  dragmode: 'pan', hovermode: 'closest', hoverdistance: FAR, uirevision: points.set, showlegend: false,
  margin: { l: 4, r: 4, t: 4, b: 4 }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
  xaxis: { visible: false }, yaxis: { visible: false, scaleanchor: 'x' },
});
const config = { displaylogo: false, displayModeBar: false, showSendToCloud: false, scrollZoom: true, responsive: false };
const taken = (values, rows) => Float32Array.from(rows, (i) => values[i]);
const traces = (xs, ys) => paint.groups.map((each, g) => ({
  type: 'scattergl', mode: 'markers', hoverinfo: 'none', visible: !hidden.has(g),
  x: taken(xs, members[g]), y: taken(ys, members[g]), marker: { size: size(), color: each.colour, opacity: 0.85 },
}));

async function draw() {
  const nothing = !props.points?.x || !props.paint?.group;
  find('.uld-map-empty').style.display = nothing ? 'grid' : 'none';
  find('.uld-map-empty').textContent = props.empty;
  if (nothing) {
    if (points && Plotly) Plotly.purge(plot);
    points = paint = null; wired = false; mask = null; legend.replaceChildren(); said.textContent = ''; repaint();
    return;
  }
  const moved = points?.revision !== props.points.revision, repainted = paint?.revision !== props.paint.revision;
  const groups = decode(props.paint.group, Int16Array);
  // Where the counts differ, the other half of the change is on its way.
  if ((!moved && !repainted) || groups.length !== props.points.count) return;
  const before = moved && points?.set === props.points.set && x?.length === props.points.count ? [x, y] : null;
  const started = performance.now();
  points = props.points; paint = props.paint;
  if (moved) { x = decode(points.x, Float32Array); y = decode(points.y, Float32Array); cursor = -1; }
  group = groups;
  if (repainted) hidden = new Set();
  sortGroups();
  Plotly = await library();
  if (before && !still() && x.length <= ANIMATED) await glide(...before);
  await Plotly.react(plot, traces(x, y), layout(), config);
  element.dataset.points = x.length;
  element.dataset.drawn = Math.round(performance.now() - started);
  if (!wired) wire();
  readMask();
}

function sortGroups() {
  counts = paint.groups.map(() => 0);
  for (const g of group) if (g >= 0) counts[g]++;
  members = counts.map((n) => new Int32Array(n));
  const next = counts.map(() => 0);
  group.forEach((g, i) => { if (g >= 0) members[g][next[g]++] = i; });
}

// Points go to their new places, so that the eye can follow them from one round to the next.
async function glide(fromX, fromY) {
  const begun = performance.now();
  for (let share = 0; share < 1; share = Math.min(1, (performance.now() - begun) / 450)) {
    const ease = share * share * (3 - 2 * share), between = (a, b) => a.map((v, i) => v + (b[i] - v) * ease);
    await Plotly.react(plot, traces(between(fromX, x), between(fromY, y)), layout(), config);
    await new Promise(requestAnimationFrame);
  }
}

const axes = () => { const full = plot._fullLayout; return full?.xaxis ? [full.xaxis, full.yaxis] : null; };
const place = (i) => { const [a, b] = axes(); return [a._offset + a.d2p(x[i]), b._offset + b.d2p(y[i])]; };

function repaint() {
  const ratio = window.devicePixelRatio || 1, width = over.offsetWidth, height = over.offsetHeight;
  over.width = width * ratio; over.height = height * ratio;
  const pen = over.getContext('2d');
  pen.scale(ratio, ratio);
  if (!points || !axes()) return;
  if (mask) dots(pen, width, height);
  if (cursor >= 0) { const [a, b] = place(cursor); pen.lineWidth = 3; pen.strokeStyle = ink(); pen.beginPath(); pen.arc(a, b, 9, 0, 7); pen.stroke(); }
  if (trail) {
    pen.beginPath(); trail.forEach(([a, b], i) => (i ? pen.lineTo(a, b) : pen.moveTo(a, b))); pen.closePath();
    pen.fillStyle = 'rgb(99 102 241 / 0.18)'; pen.strokeStyle = '#6366f1'; pen.lineWidth = 2; pen.fill(); pen.stroke();
  }
}
const ink = () => getComputedStyle(element).getPropertyValue('--body-text-color') || '#000';

// A veil over everything, and the selected points again on top of it.
function dots(pen, width, height) {
  pen.globalAlpha = 0.8;
  pen.fillStyle = getComputedStyle(stage).backgroundColor;
  pen.fillRect(0, 0, width, height);
  pen.globalAlpha = 1;
  const side = size(), step = Math.max(1, Math.ceil(chosen / MOST_DOTS));
  paint.groups.forEach((each, g) => {
    if (hidden.has(g)) return;
    pen.fillStyle = each.colour;
    let skipped = 0;
    for (const i of members[g]) {
      if (!mask[i] || skipped++ % step) continue;
      const [a, b] = place(i);
      if (side < 4) { pen.fillRect(a - side / 2, b - side / 2, side, side); continue; }
      pen.beginPath(); pen.arc(a, b, side / 2 + 0.5, 0, 7); pen.fill();
    }
  });
}

// ---------------------------------------------------------------- selection

function readMask() {
  if (!wired) return;  // nothing is drawn yet; draw() comes back here
  const bits = props.marked?.bits;
  if (!points || !bits || props.marked.count !== x.length) return setMask(null);
  const raw = bytes(bits), next = new Uint8Array(x.length);
  for (let i = 0; i < next.length; i++) next[i] = (raw[i >> 3] >> (i & 7)) & 1;
  setMask(next);
}

function setMask(next) {
  mask = next;
  chosen = mask ? mask.reduce((sum, bit) => sum + bit, 0) : 0;
  element.dataset.chosen = mask ? chosen : '';
  said.textContent = !points ? '' : mask ? `${chosen} of ${x.length} selected` : `${x.length} ${points.words}`;
  writeLegend();
  repaint();
}

function writeLegend() {
  if (!paint) return legend.replaceChildren();
  const inside = counts.map(() => 0);
  if (mask) group.forEach((g, i) => { if (g >= 0 && mask[i]) inside[g]++; });
  legend.replaceChildren(...paint.groups.map((each, g) => {
    const item = document.createElement('div'), eye = document.createElement('button'), name = document.createElement('button');
    const dot = document.createElement('i');
    dot.style.background = each.colour;
    eye.type = name.type = 'button';
    eye.append(dot);
    eye.setAttribute('aria-pressed', String(!hidden.has(g)));
    eye.setAttribute('aria-label', `show ${each.name}`); eye.title = `Show or hide ${each.name}`;
    eye.onclick = () => { hidden.has(g) ? hidden.delete(g) : hidden.add(g); show(g); };
    name.textContent = `${each.name} ${mask ? `${inside[g]} / ${counts[g]}` : counts[g]}`;
    name.title = `Select ${each.name}`; name.dataset.group = g;
    name.onclick = (event) => emit('group', { group: g, add: event.shiftKey });
    item.append(eye, name);
    return item;
  }));
}

async function show(g) {
  await Plotly.restyle(plot, { visible: !hidden.has(g) }, [g]);
  setMask(mask);
  legend.children[g]?.firstChild.focus();
}

function inside(polygon, a, b) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [x1, y1] = polygon[i], [x2, y2] = polygon[j];
    if ((y1 > b) !== (y2 > b) && a < ((x2 - x1) * (b - y1)) / (y2 - y1) + x1) odd = !odd;
  }
  return odd;
}

// Marked here at once; Python finds the same points and answers with what is linked to them.
function lasso() {
  const started = performance.now(), [a, b] = axes();
  const polygon = trail.map(([u, v]) => [+a.p2d(u - a._offset).toPrecision(6), +b.p2d(v - b._offset).toPrecision(6)]);
  trail = null;
  if (polygon.length < 3) return repaint();
  const us = polygon.map((p) => p[0]), vs = polygon.map((p) => p[1]);
  const low = [Math.min(...us), Math.min(...vs)], high = [Math.max(...us), Math.max(...vs)];
  const next = add && mask ? mask.slice() : new Uint8Array(x.length);
  for (let i = 0; i < next.length; i++) {
    if (x[i] < low[0] || x[i] > high[0] || y[i] < low[1] || y[i] > high[1] || hidden.has(group[i])) continue;
    if (inside(polygon, x[i], y[i])) next[i] = 1;
  }
  setMask(next);
  element.dataset.lassoed = Math.round(performance.now() - started);
  emit('lasso', { polygon, add });
}

function clear() { setMask(null); hideTip(); emit('clear'); }

// ---------------------------------------------------------------- pointing

const indexOf = (event) => { const p = event.points[0]; return members[p.curveNumber]?.[p.pointNumber]; };
const hideTip = () => { tip.hidden = true; };

async function showTip(i, left, top) {
  if (i === undefined || !points || !props.tiles?.side) return;
  const { atlas, columns, side, ticket } = props.tiles, key = `${ticket}/${i}`, tile = tip.querySelector('.uld-map-tile'), frame = element.getBoundingClientRect();
  tip.dataset.point = i;
  tip.querySelector('span').textContent = group[i] >= 0 ? paint.groups[group[i]].name : '';
  tip.style.cssText = `left:${Math.min(left + 14, frame.width - side - 12)}px; top:${top + 14}px; border-color:${paint.groups[group[i]]?.colour}`;
  tile.style.cssText = atlas
    ? `width:${side}px; height:${side}px; background-image:url(${atlas}); background-position:-${(i % columns) * side}px -${Math.floor(i / columns) * side}px`
    : `width:${side}px; height:${side}px; background-size:cover; background-image:url(${asked.get(key) ?? ''})`;
  tip.hidden = false;
  if (atlas || asked.has(key)) return;
  const uri = await server.tile(ticket, i);  // too many points for one sheet: asked for one by one
  asked.set(key, uri);
  if (tip.dataset.point === String(i)) tile.style.backgroundImage = `url(${uri})`;
}

function zoom(factor) {
  const [a, b] = axes(), about = (axis) => { const [low, high] = axis.range, middle = (low + high) / 2; return [low, high].map((v) => middle + (v - middle) * factor); };
  Plotly.relayout(plot, { 'xaxis.range': about(a), 'yaxis.range': about(b) });
}

function setDrawing(on) {
  drawing = on;
  over.classList.toggle('uld-drawing', on);
  find('[data-tool=lasso]').setAttribute('aria-pressed', String(on));
}

const tools = {
  lasso: () => setDrawing(!drawing), in: () => zoom(0.6), out: () => zoom(1.6), clear,
  fit: () => Plotly.relayout(plot, { 'xaxis.autorange': true, 'yaxis.autorange': true }),
};
find('.uld-map-bar').addEventListener('click', (event) => {
  const tool = event.target.closest('[data-tool]')?.dataset.tool;
  if (tool && wired) tools[tool]();
});

// So that Escape and the arrow keys are meant for the map that was touched last.
stage.addEventListener('pointerdown', () => stage.focus({ preventScroll: true }));
const at = (event) => { const box = over.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
over.addEventListener('pointerdown', (event) => { if (!wired) return; trail = [at(event)]; add = event.shiftKey; over.setPointerCapture(event.pointerId); });
over.addEventListener('pointermove', (event) => {
  if (!trail) return;
  const [a, b] = at(event), [c, d] = trail[trail.length - 1];
  if (Math.hypot(a - c, b - d) > 3) { trail.push([a, b]); repaint(); }
});
over.addEventListener('pointerup', () => { if (trail) lasso(); });
over.addEventListener('pointercancel', () => { trail = null; repaint(); });

// ---------------------------------------------------------------- keyboard

// The nearest point that lies more in the arrow's direction than beside it; from nowhere, the one nearest the middle.
function step(dx, dy) {
  const from = cursor >= 0 ? place(cursor) : [over.offsetWidth / 2, over.offsetHeight / 2];
  let best = -1, least = Infinity;
  for (let i = 0; i < x.length; i++) {
    if (i === cursor || hidden.has(group[i])) continue;
    const [a, b] = place(i), u = a - from[0], v = b - from[1], along = u * dx + v * dy, aside = Math.abs(u * dy) + Math.abs(v * dx);
    if (cursor >= 0 && (along <= 0.5 || aside > along)) continue;
    const distance = Math.hypot(u, v) + aside;
    if (distance < least) { least = distance; best = i; }
  }
  if (best < 0) return;
  cursor = best;
  repaint();
  const [a, b] = place(cursor);
  showTip(cursor, a, b + stage.offsetTop);
  said.textContent = `point ${cursor + 1} of ${x.length}, ${group[cursor] >= 0 ? paint.groups[group[cursor]].name : 'no group'}`;
}

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
element.addEventListener('keydown', (event) => {
  if (!wired) return;
  if (event.key === 'Escape') { setDrawing(false); cursor = -1; clear(); return; }
  if (event.target !== stage) return;
  if (arrows[event.key]) step(...arrows[event.key]);
  else if (event.key === 'Enter' || event.key === ' ') { if (cursor >= 0) emit('click', { index: cursor, add: event.shiftKey }); }
  else if (event.key === '+') tools.in();
  else if (event.key === '-') tools.out();
  else if (event.key === '0') tools.fit();
  else if (event.key.toLowerCase() === 'l') tools.lasso();
  else return;
  event.preventDefault();
});

// ---------------------------------------------------------------- life

function wire() {
  wired = true;
  plot.on('plotly_hover', (event) => { const box = element.getBoundingClientRect(); showTip(indexOf(event), event.event.clientX - box.left, event.event.clientY - box.top); });
  plot.on('plotly_unhover', hideTip);
  plot.on('plotly_click', (event) => emit('click', { index: indexOf(event), add: event.event.shiftKey }));
  for (const name of ['plotly_relayouting', 'plotly_relayout', 'plotly_afterplot']) plot.on(name, repaint);
}
stage.setAttribute('aria-label', `${props.title}. Arrow keys move from point to point, Enter selects, Escape selects nothing; the buttons below select whole groups.`);
// A tab that was hidden has no width: draw again at the size it gets.
new ResizeObserver(() => { if (Plotly && points && plot.offsetWidth) Plotly.Plots.resize(plot).then(repaint); }).observe(element);
new MutationObserver(repaint).observe(document.body, { attributes: true, attributeFilter: ['class'] });
watch(['points', 'paint', 'empty'], draw);
watch('marked', readMask);
draw();
