// Draws props.figure, the JSON of a plotly Figure, in the page's colours; props.empty is said where there is none.
const plot = element.querySelector('.uld-figure-plot'), empty = element.querySelector('.uld-figure-empty');
let Plotly = null, drawn = null;
const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
const axis = (given) => ({ ...given, gridcolor: colour('--border-color-primary'), zerolinecolor: colour('--border-color-primary'), linecolor: colour('--border-color-primary') });

async function draw(again = false) {
  const text = props.figure;
  empty.textContent = text ? '' : props.empty;
  plot.style.display = text ? '' : 'none';
  if (!text || (text === drawn && !again)) { if (!text) drawn = null; return; }
  Plotly = await library();
  drawn = text;
  const figure = JSON.parse(text), given = figure.layout;
  plot.setAttribute('aria-label', given.title?.text ?? 'figure');
  await Plotly.react(plot, figure.data, {
    ...given, autosize: true, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: { ...given.font, color: colour('--body-text-color'), family: 'system-ui, sans-serif' },
    xaxis: axis(given.xaxis), yaxis: axis(given.yaxis),
  }, { displayModeBar: false, showSendToCloud: false, responsive: false });
}
new ResizeObserver(() => { if (Plotly && drawn && plot.offsetWidth) Plotly.Plots.resize(plot); }).observe(element);
new MutationObserver(() => draw(true)).observe(document.body, { attributes: true, attributeFilter: ['class'] });
watch('figure', () => draw());
draw();
