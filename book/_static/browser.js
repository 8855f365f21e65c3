// Sample browser: two committed records side by side, or one record's latents through the rounds.
"use strict";
(function () {
  const records = window.DPGEN_RECORDS || [];
  const root = document.getElementById("dpgen-browser");
  if (!root) return;
  const label = (r) => `${r.dataset}, ${r.method}, epsilon ${r.epsilon}, seed ${r.seed}`;

  function fill(panel, start) {
    const select = panel.querySelector("select");
    records.forEach((r, i) => select.add(new Option(label(r), String(i))));
    select.value = String(Math.min(start, records.length - 1));
    const update = () => {
      const record = records[Number(select.value)];
      if (!record) return;
      const kind = root.querySelector("[name=kind]:checked").value;
      const image = panel.querySelector("img");
      const path = record[kind];
      image.hidden = !path;
      if (path) {
        image.setAttribute("src", `../_static/${path}`);
        image.alt = kind === "rounds"
          ? `The same latents after ever more rounds: ${label(record)}`
          : `Samples, one row per class: ${label(record)}`;
      }
      panel.querySelector("figcaption").textContent = path
        ? `${label(record)}; spent ${record.spent}; g2r ${record.g2r} %`
        : `${label(record)}: this method has no rounds`;
    };
    root.addEventListener("change", update);
    update();
  }

  const panels = root.querySelectorAll("figure");
  const alone = records.findIndex((r) => r.method === "efsgd");
  panels.forEach((panel, i) => fill(panel, i ? Math.max(alone, 0) : 0));
}());
