// A log-log curve with a marker, as inline SVG; the colors come from interactive.css.
"use strict";
(function () {
  const BOX = { left: 52, right: 348, top: 12, bottom: 192 };
  const node = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const place = (value, [low, high], from, to) =>
    from + (to - from) * (Math.log10(value) - low) / (high - low);
  const decades = ([low, high]) =>
    Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i);
  const plain = (power) => (power >= -2 && power <= 3 ? String(Number(`1e${power}`)) : `1e${power}`);

  // points: [x, y] pairs, marker: one such pair or null; xRange and yRange: powers of ten.
  function draw(svg, { points, marker, xRange, yRange, xTitle, yTitle, sentence }) {
    const x = (value) => place(value, xRange, BOX.left, BOX.right);
    const y = (value) => place(value, yRange, BOX.bottom, BOX.top);
    const inside = ([, value]) => value >= 10 ** yRange[0] && value <= 10 ** yRange[1];
    const parts = [];
    for (const power of decades(xRange)) {
      const at = x(10 ** power);
      parts.push(node("line", { class: "grid", x1: at, x2: at, y1: BOX.top, y2: BOX.bottom }));
      parts.push(node("text", { x: at, y: BOX.bottom + 17, "text-anchor": "middle" }, plain(power)));
    }
    for (const power of decades(yRange)) {
      const at = y(10 ** power);
      parts.push(node("line", { class: "grid", x1: BOX.left, x2: BOX.right, y1: at, y2: at }));
      parts.push(node("text", { x: BOX.left - 7, y: at + 4, "text-anchor": "end" }, plain(power)));
    }
    parts.push(node("path", { class: "axis", d: `M${BOX.left} ${BOX.top}V${BOX.bottom}H${BOX.right}` }));
    parts.push(node("text", { x: (BOX.left + BOX.right) / 2, y: 232, "text-anchor": "middle" }, xTitle));
    const middle = (BOX.top + BOX.bottom) / 2;
    parts.push(node("text", { transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, yTitle));
    const line = points.filter(inside).map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
    parts.push(node("polyline", { class: "curve", points: line }));
    if (marker && inside(marker)) {
      parts.push(node("circle", { cx: x(marker[0]).toFixed(1), cy: y(marker[1]).toFixed(1), r: 6 }));
    }
    svg.replaceChildren(...parts);
    svg.setAttribute("aria-label", sentence);
  }

  window.DPGEN_DRAW = draw;
}());
