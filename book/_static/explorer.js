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

  // The record of the paper's method whose settings are those of the sliders, up to a slider's step.
  const near = (a, b) => Math.abs(Math.log(a / b)) < 0.02;
  function matching(setting) {
    return records.find((r) => r.plan && r.method === "efsgd" && r.dataset === field("dataset").value
      && near(r.epsilon, setting.epsilon)
      && r.plan.every((value, i) => near(value, [setting.delta, setting.rate, setting.rounds, setting.shards][i])));
  }

  function showPictures(setting) {
    const record = matching(setting);
    const figure = root.querySelector("[data-pictures]");
    figure.hidden = !record;
    root.querySelector("[data-no-pictures]").hidden = Boolean(record);
    if (!record) return;
    const image = figure.querySelector("img");
    const source = `../_static/${record.samples}`;
    if (image.getAttribute("src") !== source) image.setAttribute("src", source);
    image.alt = `Samples drawn by ${record.method} on ${record.dataset} at epsilon ${record.epsilon}, one row per class.`;
    const [delta, rate, rounds, shards] = record.plan;
    figure.querySelector("figcaption").textContent =
      `A committed record with these settings: ${record.method} on ${record.dataset}, epsilon ${record.spent} at `
      + `delta ${delta.toExponential(1)}, q ${rate}, T ${rounds}, K ${shards}. Accuracy of a classifier that learned from it, `
      + `on real images: ${record.g2r}.`;
  }

  const grid = Array.from({ length: 51 }, (_, i) => Math.pow(10, i / 10));
  function drawCurves({ epsilon, delta, rateIndex, rounds, noise }) {
    const axis = { xRange: [0, 5], xTitle: "rounds T" };
    const needed = grid.map((t) => [t, calibrate(rateIndex, t, epsilon, delta)]).filter(([, s]) => s !== null);
    window.DPGEN_DRAW(root.querySelector("[data-curve=noise]"), {
      ...axis, points: needed, marker: noise === null ? null : [rounds, noise],
      yRange: [-0.6, 2.4], yTitle: "noise sigma",
      sentence: noise === null ? `${rounds} rounds need more noise than the table holds.`
        : `Noise multiplier against rounds: ${rounds} rounds need ${noise.toPrecision(3)}.`,
    });
    const spent = noise === null ? []
      : grid.map((t) => [t, epsilonAt(rateIndex, Math.log(noise), t, delta)]);
    window.DPGEN_DRAW(root.querySelector("[data-curve=spent]"), {
      ...axis, points: spent, marker: noise === null ? null : [rounds, epsilon],
      yRange: [-2, 3], yTitle: "epsilon",
      sentence: noise === null ? "No curve: the noise is above the table."
        : `Epsilon against rounds at this noise: ${epsilon.toPrecision(3)} after ${rounds} rounds.`,
    });
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
    drawCurves({ epsilon, delta, rateIndex, rounds, noise });
    showPictures({ epsilon, delta, rate, rounds, shards });
  }

  function takeRecorded() {
    const reach = Math.pow(10, Number(field("epsilon").max));
    const record = records.find((r) => r.plan && r.method === "efsgd" && r.epsilon <= reach
      && r.dataset === field("dataset").value);
    if (!record) return;
    const [delta, rate, rounds, shards] = record.plan;
    field("epsilon").value = String(Math.log10(record.epsilon));
    field("delta").value = String(Math.log10(delta));
    field("rate").value = String(curves.rates.indexOf(rate));
    field("rounds").value = String(Math.log10(rounds));
    field("shards").value = String(Math.log10(shards));
    update();
  }

  const names = [...new Set(records.filter((r) => r.plan && r.method === "efsgd").map((r) => r.dataset))];
  for (const name of names) field("dataset").add(new Option(name, name));
  field("rate").max = String(curves.rates.length - 1);
  root.addEventListener("input", update);
  root.querySelector("[data-recorded]").addEventListener("click", takeRecorded);
  window.DPGEN_EXPLORER = { calibrate, epsilonAt };
  update();
}());
