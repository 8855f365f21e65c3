// Sample browser: two committed records side by side, or one record's latents through the rounds.
"use strict";
(function () {
  const records = window.DPGEN_RECORDS || [];
  const root = document.getElementById("dpgen-browser");
  if (!root || !records.length) return;
  const MENUS = { dataset: "data set", method: "method", epsilon: "epsilon", seed: "seed" };
  const NAMES = Object.keys(MENUS);
  const FIGURES = {
    spent: "epsilon spent (Renyi)", g2r: "g2r accuracy, CNN", recall: "recall", frechet: "Frechet distance",
  };
  const budget = (epsilon) => (epsilon >= 1e5 ? "no privacy" : String(epsilon));
  const sentence = (record) =>
    `${record.method} on ${record.dataset} at epsilon ${budget(record.epsilon)}, seed ${record.seed}`;
  const made = (tag, properties) => Object.assign(document.createElement(tag), properties);

  function build(panel, title) {
    const menus = made("fieldset", { className: "dpgen-menus" });
    menus.append(made("legend", { textContent: title }));
    for (const name of NAMES) {
      const label = made("label", { textContent: MENUS[name] });
      label.append(made("select", { name }));
      menus.append(label);
    }
    const image = made("img", { hidden: true, alt: title });
    const caption = made("figcaption", {});
    caption.setAttribute("aria-live", "polite");
    panel.append(menus, image, caption);
  }

  // Fill the menus so that each offers what exists under the choices above it; keep what can be kept.
  function fill(panel, wanted) {
    let left = records;
    for (const name of NAMES) {
      const select = panel.querySelector(`[name=${name}]`);
      const values = [...new Set(left.map((record) => String(record[name])))];
      const chosen = values.includes(wanted[name]) ? wanted[name] : values[0];
      const text = (value) => (name === "epsilon" ? budget(Number(value)) : value);
      select.replaceChildren(...values.map((value) => new Option(text(value), value)));
      select.value = chosen;
      left = left.filter((record) => String(record[name]) === chosen);
    }
    return left[0];
  }

  function show(panel, record) {
    const kind = root.querySelector("[name=kind]:checked").value;
    const image = panel.querySelector("img");
    const caption = panel.querySelector("figcaption");
    image.hidden = !record[kind];
    if (record[kind]) {
      image.src = `../_static/${record[kind]}`;
      image.alt = kind === "rounds"
        ? `The same latents after ever more rounds, drawn by ${sentence(record)}.`
        : `Generated samples, one row per class, drawn by ${sentence(record)}.`;
    }
    const list = made("dl", { className: "dpgen-figures" });
    for (const [name, title] of Object.entries(FIGURES)) {
      list.append(made("dt", { textContent: title }), made("dd", { textContent: record[name] }));
    }
    const note = record[kind] ? [] : [made("p", { textContent: "This method has no rounds to show." })];
    caption.replaceChildren(...note, list);
  }

  const panels = [...root.querySelectorAll("figure")];
  function update(panel, wanted) {
    const now = wanted
      || Object.fromEntries(NAMES.map((name) => [name, panel.querySelector(`[name=${name}]`).value]));
    show(panel, fill(panel, now));
  }
  panels.forEach((panel, i) => {
    build(panel, i ? "second record" : "first record");
    update(panel, { dataset: "MNIST", method: panel.dataset.start, epsilon: "10", seed: "0" });
  });
  root.addEventListener("change", (event) => {
    const inside = event.target.closest("figure");
    (inside ? [inside] : panels).forEach((panel) => update(panel));
  });
}());
