// The browser side of EmbedScatter. props.data comes from Python (see pack); trigger('select') goes back.
const find = (query) => element.querySelector(query);
const decode = (text, Kind) => {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Kind(bytes.buffer);
};
// Gradio's own plots put another version of plotly on window: keep ours aside and give theirs back.
const library = () => (window.__uldPlotly ??= new Promise((resolve, reject) => {
  const before = window.Plotly, script = document.createElement('script');
  script.src = new URL(%PLOTLY%, document.baseURI);
  script.onload = () => { const mine = window.Plotly; if (before) window.Plotly = before; resolve(mine); };
  script.onerror = reject;
  document.head.appendChild(script);
}));
let drawn = null, x, y, label;

const colours = (data) => Array.from(label, (k) => data.palette[k % data.palette.length]);
const opacities = (data) => data.focus === null ? 0.85 : Array.from(label, (k) => (k === data.focus ? 0.95 : 0.06));
const layout = () => ({
  dragmode: 'pan', hovermode: 'closest', uirevision: 'keep', showlegend: false, margin: { l: 4, r: 4, t: 4, b: 4 },
  paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
  xaxis: { visible: false }, yaxis: { visible: false, scaleanchor: 'x' },
});
const config = { displaylogo: false, showSendToCloud: false, scrollZoom: true, responsive: true,
  modeBarButtonsToRemove: ['toImage', 'select2d', 'lasso2d', 'autoScale2d'] };

function showTip(event) {
  const data = props.data, i = event.points[0].pointNumber, tip = find('.uld-map-tip');
  const frame = element.getBoundingClientRect(), side = data.tile;
  const left = Math.min(event.event.clientX - frame.left + 14, frame.width - side - 8);
  tip.style.cssText = `left:${left}px; top:${event.event.clientY - frame.top + 14}px; width:${side}px; height:${side}px;`
    + `background-image:url(${data.atlas}); border-color:${data.palette[label[i] % data.palette.length]};`
    + `background-position:-${(i % data.columns) * side}px -${Math.floor(i / data.columns) * side}px`;
  tip.dataset.point = i;
  tip.hidden = false;
}

async function draw() {
  const data = props.data, plot = find('.uld-map-plot');
  find('.uld-map-empty').style.display = data ? 'none' : 'grid';
  if (!data) { if (drawn && window.__uldPlotly) (await library()).purge(plot); drawn = null; return; }
  const state = data.revision + '/' + data.focus;
  if (state === drawn) return;
  drawn = state;
  const Plotly = await library();
  x = decode(data.x, Float32Array); y = decode(data.y, Float32Array); label = decode(data.label, Int16Array);
  const trace = { type: 'scattergl', mode: 'markers', x, y, hoverinfo: 'none',
    marker: { size: 6, color: colours(data), opacity: opacities(data), line: { width: 0 } } };
  await Plotly.react(plot, [trace], layout(), config);
  element.dataset.points = x.length;
  if (plot.dataset.wired) return;
  plot.dataset.wired = 'yes';
  plot.on('plotly_hover', showTip);
  plot.on('plotly_unhover', () => { find('.uld-map-tip').hidden = true; });
  plot.on('plotly_click', (event) => trigger('select', { index: event.points[0].pointNumber }));
  // A tab that was hidden has no width: draw again at the size it gets.
  new ResizeObserver(() => { if (plot.offsetWidth) Plotly.Plots.resize(plot); }).observe(element);
}
watch('data', draw);
draw();
