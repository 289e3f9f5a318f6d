// Charts out of SVG elements: no style attribute, which the security policy forbids, and no library.
// Each says its numbers in words as well, for who cannot see it.

import { el } from "./dom.js";
import { count } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * Columns over time, stacked.
 * @param {string} summary What the chart says, in one sentence.
 * @param {{title: string, parts: {kind: string, value: number}[]}[]} columns Parts from the bottom up; kind becomes a class.
 * @param {string[]} axis What stands below, evenly spread.
 * @param {string} span What one column covers, "in 15 min".
 */
export function columnChart(summary, columns, axis, span) {
  const sums = columns.map((column) => column.parts.reduce((sum, part) => sum + part.value, 0));
  const highest = Math.max(1, ...sums);
  const drawing = svg("svg", { class: "chart-columns", viewBox: `0 0 ${Math.max(1, columns.length)} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  columns.forEach((column, at) => {
    const group = svg("g", { class: "chart-column" });
    const title = svg("title", {});
    title.textContent = column.title;
    // All of the height listens to the mouse, however small the column is.
    group.append(title, svg("rect", { class: "chart-catch", x: at, y: 0, width: 1, height: HEIGHT }));
    let top = HEIGHT;
    for (const { kind, value } of column.parts) {
      if (value === 0) continue;
      // A column of one among thousands is still seen.
      const height = Math.max(1.5, (value / highest) * HEIGHT);
      top -= height;
      group.append(svg("rect", { class: `chart-part ${kind}`, x: at + 0.1, y: Math.max(0, top), width: 0.8, height }));
    }
    drawing.append(group);
  });
  const labels = el("div", { class: "chart-axis", "aria-hidden": "true" }, ...axis.map((text) => el("span", { text })));
  const most = el("span", { class: "chart-most", "aria-hidden": "true", text: `at most ${count(highest)} ${span}` });
  return el("figure", { class: "chart", role: "img", "aria-label": summary }, most, drawing, labels);
}

/**
 * Names with a number each, the largest first, as bars.
 * @param {string} label
 * @param {{name: (Node|string), value: number, note?: string}[]} items
 */
export function barList(label, items) {
  const highest = Math.max(1, ...items.map((item) => item.value));
  const rows = items.map(({ name, value, note }) => {
    const bar = svg("svg", { class: "bar", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { x: 0, y: 0, width: Math.max(1, (value / highest) * 100), height: 1 }));
    return el("li", {}, el("span", { class: "bar-name" }, name), el("span", { class: "bar-value", text: count(value), title: note ?? null }), bar);
  });
  return el("ol", { class: "bars", "aria-label": label }, ...rows);
}
