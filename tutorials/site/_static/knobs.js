// Knobs of the notebooks, without a kernel: each slider moves through the pictures that are stored for its settings.
document.querySelectorAll(".knob").forEach((knob) => {
  const sliders = [...knob.querySelectorAll("input")];
  const values = [...knob.querySelectorAll("output")];
  const pictures = [...knob.querySelectorAll("img")];
  const turn = () => {
    let index = 0;
    sliders.forEach((slider, k) => {
      index = index * (Number(slider.max) + 1) + Number(slider.value);
      values[k].textContent = JSON.parse(slider.dataset.values)[slider.value];
    });
    pictures.forEach((picture, k) => { picture.hidden = k !== index; });
  };
  sliders.forEach((slider) => slider.addEventListener("input", turn));
  turn();
});
