// A click on anything that carries data-picture, data-landmark, data-page or data-pose goes to Python as one select event.
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-picture],[data-landmark],[data-page],[data-pose]');
  if (!hit || hit.disabled) return;
  const { picture, landmark, page, pose } = hit.dataset;
  const number = (text) => (text === undefined ? null : Number(text));
  trigger('select', { picture: number(picture), landmark: number(landmark), page: number(page), pose: number(pose) });
});
