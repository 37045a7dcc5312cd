// What a person changes on the passports goes to Python as select events: {edit, key, other, pose} or {edit: 'rename', key,
// name}; a click on a picture as {picture}.
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-edit]'), picture = event.target.closest('[data-picture]');
  if (button) {
    const tools = button.closest('.uld-tools'), value = (query) => Number(tools?.querySelector(query)?.value ?? -1);
    trigger('select', { edit: button.dataset.edit, key: Number(button.dataset.key), other: value('[data-other]'), pose: value('[data-where]') });
  } else if (picture) {
    trigger('select', { picture: Number(picture.dataset.picture) });
  }
});
element.addEventListener('change', (event) => {
  const field = event.target.closest('[data-rename]');
  if (field) trigger('select', { edit: 'rename', key: Number(field.dataset.rename), name: field.value });
});
element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && event.target.closest('[data-rename]')) event.target.blur();
});
