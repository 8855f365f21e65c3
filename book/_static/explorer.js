// Budget explorer. The Renyi curves come from dpgen_core (explorer-data.js); this script only composes
// rounds, converts to epsilon, and searches for the noise multiplier. Renyi accounting, replace-one.
"use strict";
(function () {
  const curves = window.DPGEN_CURVES;
  const records = window.DPGEN_RECORDS || [];
  const root = document.getElementById("dpgen-explorer");
  if (!root || !curves) return;
  const field = (name) => root.querySelector(`[name=${name}]`);
  const show = (name, text) => { root.querySelector(`[data-out=${name}]`).textContent = text; };

  // Log of one round's Renyi divergence at every order, between two tabulated noise multipliers.
  function curveAt(rateIndex, logNoise) {
    const grid = curves.log_noises;
    let low = 0;
    while (low < grid.length - 2 && grid[low + 1] <= logNoise) low += 1;
    const t = (logNoise - grid[low]) / (grid[low + 1] - grid[low]);
    const a = curves.log_rdp[rateIndex][low], b = curves.log_rdp[rateIndex][low + 1];
    return a.map((v, i) => (v === null || b[i] === null ? null : v + t * (b[i] - v)));
  }

  function epsilonAt(rateIndex, logNoise, rounds, delta) {
    let best = Infinity;
    curveAt(rateIndex, logNoise).forEach((v, i) => {
      if (v === null) return;
      const order = curves.orders[i];
      const epsilon = rounds * Math.exp(v) + Math.log1p(-1 / order)
        - (Math.log(delta) + Math.log(order)) / (order - 1);
      if (epsilon < best) best = epsilon;
    });
    return Math.max(best, 0);
  }

  // Smallest tabulated-range noise multiplier that keeps the budget, or null where none does.
  function calibrate(rateIndex, rounds, epsilon, delta) {
    let low = curves.log_noises[0], high = curves.log_noises[curves.log_noises.length - 1];
    if (epsilonAt(rateIndex, high, rounds, delta) > epsilon) return null;
    if (epsilonAt(rateIndex, low, rounds, delta) <= epsilon) return Math.exp(low);
    for (let i = 0; i < 60; i += 1) {
      const middle = (low + high) / 2;
      if (epsilonAt(rateIndex, middle, rounds, delta) > epsilon) low = middle; else high = middle;
    }
    return Math.exp(high);
  }

  function nearest(epsilon) {
    const whole = records.filter((r) => !r.method.includes("/") && r.dataset === field("dataset").value);
    const distance = (r) => Math.abs(Math.log(r.epsilon / epsilon));
    const order = { "efsgd-prior": 0, mixture: 1 };
    const place = (r) => order[r.method] ?? 2;
    return whole.sort((a, b) => distance(a) - distance(b) || place(a) - place(b) || a.seed - b.seed)[0];
  }

  function update() {
    const epsilon = Math.pow(10, Number(field("epsilon").value));
    const delta = Math.pow(10, Number(field("delta").value));
    const rateIndex = Number(field("rate").value);
    const rate = curves.rates[rateIndex];
    const rounds = Math.round(Math.pow(10, Number(field("rounds").value)));
    const shards = Math.round(Math.pow(10, Number(field("shards").value)));
    show("epsilon", epsilon.toPrecision(3));
    show("delta", delta.toExponential(1));
    show("rate", String(rate));
    show("rounds", String(rounds));
    show("shards", String(shards));
    const noise = calibrate(rateIndex, rounds, epsilon, delta);
    const result = root.querySelector("[data-result]");
    result.dataset.epsilon = String(epsilon);
    result.dataset.delta = String(delta);
    result.dataset.rate = String(rate);
    result.dataset.rounds = String(rounds);
    result.dataset.noise = noise === null ? "" : String(noise);
    const last = Math.exp(curves.log_noises[curves.log_noises.length - 1]);
    show("noise", noise === null ? `above ${last.toFixed(0)}` : noise.toFixed(3));
    show("cohort", (rate * shards).toPrecision(3));
    show("signal", noise === null ? "n/a" : (rate * shards / noise).toPrecision(3));
    show("information", noise === null ? "n/a" : (rounds * (rate * shards / noise) ** 2).toExponential(2));
    const record = nearest(epsilon);
    const figure = root.querySelector("figure");
    figure.hidden = !record;
    if (!record) return;
    const image = figure.querySelector("img");
    const source = `../_static/${record.samples}`;
    if (image.getAttribute("src") !== source) image.setAttribute("src", source);
    image.alt = `Samples of ${record.method} on ${record.dataset} at epsilon ${record.epsilon}`;
    figure.querySelector("figcaption").textContent =
      `Nearest committed record: ${record.dataset}, ${record.method}, epsilon ${record.spent} `
      + `(delta 1e-5), g2r ${record.g2r} %.`;
  }

  const names = [...new Set(records.map((r) => r.dataset))];
  for (const name of names) field("dataset").add(new Option(name, name));
  field("rate").max = String(curves.rates.length - 1);
  root.addEventListener("input", update);
  window.DPGEN_EXPLORER = { calibrate, epsilonAt };
  update();
}());
