// Draws the figures: at once where they can be seen, in folded parts when they are opened.
"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
// the camera above a figure saves it for a paper
const saved = (name) => ({ ...config, toImageButtonOptions: { format: "svg", filename: name } });

function draw(element) {
  if (element.dataset.drawn) return;
  element.dataset.drawn = "yes";
  const figure = figures[element.id];
  Plotly.newPlot(element, figure.data, figure.layout, saved(element.id));
}

for (const part of document.querySelectorAll("details")) {
  part.addEventListener("toggle", () => {
    if (part.open) part.querySelectorAll(".figure").forEach(draw);
  });
}
document.querySelectorAll("section > figure > .figure").forEach(draw);
