// Loads the plotly.js that ships with plotly, once for the page; put before the scripts that draw with it. Gradio's own
// plots put another version on window: ours is kept aside and theirs given back.
const library = () => (window.__uldPlotly ??= new Promise((resolve, reject) => {
  const before = window.Plotly, script = document.createElement('script');
  script.src = new URL(%PLOTLY%, document.baseURI);
  script.onload = () => { const mine = window.Plotly; if (before) window.Plotly = before; resolve(mine); };
  script.onerror = reject;
  document.head.appendChild(script);
}));
