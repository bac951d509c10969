// Examples in the plane of their two largest principal components.

const NS = "http://www.w3.org/2000/svg";

/** The largest principal direction of centred rows, by power iteration. */
function direction(rows, width, seed) {
  let v = Array.from({ length: width }, (_, i) => Math.sin(1 + seed + i * 1.7));
  for (let step = 0; step < 40; step++) {
    const next = new Array(width).fill(0);
    for (const row of rows) {
      const along = row.reduce((sum, value, i) => sum + value * v[i], 0);
      for (let i = 0; i < width; i++) next[i] += along * row[i];
    }
    const length = Math.hypot(...next) || 1;
    v = next.map((value) => value / length);
  }
  return v;
}

function plane(vectors) {
  const width = vectors[0].length;
  const mean = new Array(width).fill(0);
  for (const row of vectors) row.forEach((value, i) => (mean[i] += value / vectors.length));
  let rows = vectors.map((row) => row.map((value, i) => value - mean[i]));
  return [0, 1].map((seed) => {
    const v = direction(rows, width, seed);
    const along = rows.map((row) => row.reduce((sum, value, i) => sum + value * v[i], 0));
    rows = rows.map((row, n) => row.map((value, i) => value - along[n] * v[i]));
    return along;
  });
}

/** Draws the examples, a colour for each class. */
export function draw(svg, legend, examples, classes) {
  svg.replaceChildren();
  legend.replaceChildren();
  const colour = (label) => `c${Math.max(0, classes.indexOf(label)) % 8}`;
  for (const label of classes) {
    const item = document.createElement("li");
    const mark = document.createElementNS(NS, "svg");
    mark.setAttribute("viewBox", "0 0 10 10");
    mark.setAttribute("aria-hidden", "true");
    mark.append(dot(5, 5, 4, colour(label)));
    item.append(mark, ` ${label}`);
    legend.append(item);
  }
  if (examples.length < 2) return;
  const [x, y] = plane(examples.map((example) => example.embedding));
  const scale = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => 6 + (88 * (value - low)) / (high - low || 1);
  };
  const [across, down] = [scale(x), scale(y)];
  examples.forEach((example, i) => {
    const mark = dot(across(x[i]), down(y[i]), 2, colour(example.label));
    const title = document.createElementNS(NS, "title");
    title.textContent = `${example.label ?? "no label"}: ${(example.text ?? "").slice(0, 80)}`;
    mark.append(title);
    svg.append(mark);
  });
}

function dot(x, y, radius, name) {
  const circle = document.createElementNS(NS, "circle");
  circle.setAttribute("cx", x);
  circle.setAttribute("cy", y);
  circle.setAttribute("r", radius);
  circle.setAttribute("class", name);
  return circle;
}
