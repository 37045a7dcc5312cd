// The list of runs: {open: id}, {remove: id} after a question, {rename: id, name}, {resume: id}.
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button) return;
  const { do: what, run, title } = button.dataset;
  if (what === 'remove' && !window.confirm(`Delete "${title}" with all its results? This cannot be undone.`)) return;
  if (what === 'rename') {
    const name = window.prompt('A new name for this run', title);
    if (name !== null) trigger('select', { what, run, name });
    return;
  }
  trigger('select', { what, run });
});
