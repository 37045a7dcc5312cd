// A click on anything that carries one of these numbers goes to Python as one select event with all of them.
const NAMES = ['picture', 'landmark', 'page', 'pose', 'dial'];
const number = (text) => (text === undefined ? null : Number(text));
element.addEventListener('click', (event) => {
  const hit = event.target.closest(NAMES.map((name) => `[data-${name}]`).join(','));
  if (!hit || hit.disabled) return;
  trigger('select', Object.fromEntries(NAMES.map((name) => [name, number(hit.dataset[name])])));
});
