// The explorer of a study's page: filters, a chart, a table of runs, and chosen runs side by side. `explored` in the page is what
// nmepkg/analysis/explored.py says; charts are Vega-Lite's. All text enters the page as text, never as HTML.
const data = JSON.parse(document.getElementById("explored").textContent);
const FILTERS = ["setup", "method", "activation"];
const PAGE = 100; // rows of the table at a time
const state = {
  only: { setup: new Set(), method: new Set(), activation: new Set() }, // nothing in it: all of them
  text: "", sort: "place", down: false, rows: PAGE, chosen: [],
};
const $ = (id) => document.getElementById(id);

async function loadVega() {
  const packed = Uint8Array.from(atob($("vega").textContent), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = `{${await new Response(unpacked).text()}}`; // a block, which keeps its names to itself
  document.head.append(script);
}

const runs = data.run.map((run, i) => {
  const name = (column) => data[column].names[data[column].of[i]];
  const kind = name("strength");
  const strength = data.strength.values[i];
  return {
    place: i, run, seed: data.seed[i], log: `${data.logs}${run}.log`,
    setup: name("setup"), method: name("method"), activation: name("activation"), family: name("family"),
    kind, strength: kind ? strength : 0, strengthText: kind ? `${data.strength.symbols[kind]} = ${strength}` : "",
    diverged: data.diverged[i], status: data.diverged[i] === null ? "completed" : `diverged by step ${data.diverged[i]}`,
    point: [data.setup.of[i], data.method.of[i], data.activation.of[i], kind, strength].join("|"),
  };
});
const seedsAt = new Map(); // of each point, runs that are alike but for their seeds
for (const run of runs) seedsAt.set(run.point, [...(seedsAt.get(run.point) ?? []), run.seed]);
for (const run of runs) {
  const seeds = seedsAt.get(run.point);
  run.seeds = `${run.seed}, of ${seeds.length > 12 ? `${seeds.length} seeds` : seeds.join(", ")}`;
}

// What a curve has of each run: [steps, values], or nothing.
data.curves.forEach((curve) => {
  curve.at = new Map();
  curve.values.forEach((values, k) => curve.at.set(curve.runs ? curve.runs[k] : k, [data.steps[curve.steps[k]], values]));
});
// Of a run that diverged, its last evaluation speaks for nothing.
const valueOf = (curve, run, end) => {
  const found = curve.at.get(run.place);
  if (!found || (end === "last" && run.diverged !== null && curve.runs === null)) return null;
  return found[1].at(end === "last" ? -1 : 0) ?? null;
};

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const option = (value, text) => make("option", { value, textContent: text });

function fillSelects() {
  for (const id of ["y", "left", "right"]) {
    const groups = new Map();
    data.curves.forEach((curve, i) => {
      if (!groups.has(curve.of)) groups.set(curve.of, make("optgroup", { label: curve.of }));
      groups.get(curve.of).append(option(i, curve.title));
    });
    $(id).append(...groups.values());
  }
  const named = (...names) => Math.max(0, data.curves.findIndex((curve) => names.includes(curve.title)));
  $("y").value = $("right").value = named("Test accuracy (%)");
  $("left").value = named("Training loss");
  $("x").append(...data.axes.map((axis, i) => option(i, axis.title)), option("seed", "Seed"));
}

function fillFilters() {
  for (const column of FILTERS) {
    const boxes = data[column].names.map((name, i) => {
      const box = make("input", { type: "checkbox", value: i });
      box.addEventListener("change", () => {
        state.only[column][box.checked ? "add" : "delete"](name);
        refresh();
      });
      return make("label", {}, box, ` ${name}`);
    });
    const legend = column[0].toUpperCase() + column.slice(1);
    const title = make("legend", { textContent: `${legend} (none ticked: all)` });
    $("filters").append(make("fieldset", { id: `only-${column}` }, title, ...boxes));
  }
  const search = make("input", { type: "search", id: "search" });
  search.addEventListener("input", () => {
    state.text = search.value.trim().toLowerCase();
    refresh();
  });
  $("filters").append(make("label", {}, "Name of the run contains ", search));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}

const wantedIn = (run, column) => !state.only[column].size || state.only[column].has(run[column]);
const passes = (run) => FILTERS.every((column) => wantedIn(run, column)) && run.run.toLowerCase().includes(state.text);
const shown = () => runs.filter(passes);

// ---- charts

const HOVER = [
  ["run", "Run"], ["setup", "Setup"], ["method", "Method"], ["activation", "Activation"], ["strengthText", "Strength"], ["seeds", "Seed"],
  ["value", ""], ["log", "Log"],
];
const config = {
  font: "system-ui, 'DejaVu Sans', sans-serif", background: "#fff", view: { stroke: null },
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", gridColor: "#e6e6e6" },
  legend: { labelFontSize: 12, titleFontSize: 12, orient: "bottom", columns: 3, labelLimit: 260, symbolLimit: 60 },
  header: { labelFontSize: 13, labelFontWeight: "bold" },
};
const actions = { export: true, source: false, compiled: false, editor: false }; // the editor is on the network
const OPTIONS = { mode: "vega-lite", renderer: "svg", config, actions };
const views = {}; // of each chart a promise of what is drawn, after what was asked for before
const wanted = {};

const heading = (text, limit) => ({ text, limit, anchor: "start", fontSize: 13, fontWeight: "normal" });

// The width that a chart may have, less its menu; the chart itself is as wide as what is in it.
const room = (id) => $(id).parentElement.clientWidth - 40;

function draw(id, spec, click) {
  wanted[id] = spec;
  views[id] = (views[id] ?? Promise.resolve()).then(async (before) => {
    if (wanted[id] !== spec) return before; // something else is wanted by now
    before?.finalize();
    try {
      const drawn = await vegaEmbed(`#${id}`, spec, OPTIONS);
      if (click) drawn.view.addEventListener("click", (_, item) => click(item?.datum));
      return drawn;
    } catch (error) {
      $(id).textContent = `This chart cannot be drawn: ${error.message}`;
      return undefined;
    }
  });
}

function drawPoints(rows) {
  const curve = data.curves[$("y").value];
  const [axis, color] = [data.axes[$("x").value], $("color").value];
  const overStrength = axis && axis.strength;
  const shape = color === "activation" ? "method" : overStrength ? "activation" : "family";
  const values = [];
  for (const run of rows) {
    const x = axis ? axis.values[run.place] : run.seed;
    const y = valueOf(curve, run, $("end").value);
    if (x === null || x === undefined || (y === null && run.diverged === null)) continue;
    const line = overStrength ? [run.method, run.activation] : [run.method, axis ? run.family : run.activation, run.strengthText];
    values.push({ ...run, x, y, among: data.setup.of[run.place], line: line.join("|"), value: y === null ? run.status : String(y) });
  }
  const setups = data.setup.names.filter((name) => values.some((row) => row.setup === name));
  const wide = room("points");
  const columns = Math.min(Math.max(1, setups.length), wide < 600 ? 1 : wide < 800 ? 2 : 3);
  const scale = { domain: data[color].names.filter((name) => values.some((run) => run[color] === name)) };
  scale.range = scale.domain.map((name) => data[color].colors[data[color].names.indexOf(name)]);
  const x = { field: "x", type: "ordinal", axis: { title: axis ? axis.title : "Seed", labelAngle: 0, labelOverlap: true } };
  const y = { field: "y", type: "quantitative", scale: { zero: false }, axis: { title: null } };
  const encoding = { x, color: { field: color, type: "nominal", scale, title: null } };
  const hover = { tooltip: HOVER.map(([field, title]) => ({ field, title: title || curve.title, type: "nominal" })) };
  const chosen = { test: "indexof(chosen, datum.run) >= 0", value: 3 };
  const layers = [
    {
      transform: [{ filter: "isValid(datum.y)" }], mark: { type: "line", aria: false, strokeWidth: 1.5 },
      encoding: { ...encoding, y: { ...y, aggregate: "mean" }, detail: { field: "line" } },
    },
    {
      transform: [{ filter: "isValid(datum.y)" }], mark: { type: "point", size: 45, opacity: 0.9, cursor: "pointer" },
      encoding: {
        ...encoding, ...hover, y, shape: { field: shape, type: "nominal", title: null }, strokeWidth: { condition: chosen, value: 1.2 },
      },
    },
    {
      transform: [{ filter: "!isValid(datum.y)" }], mark: { type: "text", text: "×", fontSize: 16, cursor: "pointer", aria: false },
      encoding: { ...encoding, ...hover, y: { value: "height" } },
    },
  ];
  const spec = {
    title: heading(curve.title), description: `${curve.title} of runs`, data: { values }, columns,
    config: { legend: { columns: wide < 600 ? 1 : 3 } },
    params: [{ name: "chosen", value: state.chosen }], resolve: { scale: { x: "independent", y: "independent" } },
    facet: { field: "setup", type: "nominal", title: null, sort: { field: "among", op: "min" } },
    spec: { width: Math.max(160, Math.floor(wide / columns) - 80), height: 220, layer: values.length ? layers : layers.slice(1, 2) },
  };
  draw("points", spec, (datum) => datum?.run && choose(datum.run));
  return values.filter((row) => row.y === null).length;
}

// ---- table

const COLUMNS = [
  ["value", ""], ["setup", "Setup"], ["method", "Method"], ["activation", "Activation"], ["strength", "Strength"], ["seed", "Seed"],
  ["status", "Status"], ["run", "Run"],
];
const CLASSES = { run: "run", seed: "number", strength: "number", value: "number" };

function sorted(rows) {
  const curve = data.curves[$("y").value];
  const key = state.sort === "value" ? (run) => valueOf(curve, run, $("end").value) : (run) => run[state.sort];
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return rows
    .map((run) => [key(run), run])
    .sort(([a, one], [b, other]) => {
      if (a === null || b === null) return (a === null) - (b === null) || one.place - other.place; // no number: at the end
      return (state.down ? -1 : 1) * order(a, b) || one.place - other.place;
    })
    .map(([, run]) => run);
}

function fillHead() {
  const heads = COLUMNS.map(([key, title]) => {
    const button = make("button", { type: "button", textContent: title });
    button.addEventListener("click", () => {
      state.down = state.sort === key && !state.down;
      state.sort = key;
      fillTable(shown());
    });
    return make("th", { scope: "col", id: `by-${key}` }, button);
  });
  const [choose, links] = ["Choose", "Files"].map((textContent) => make("th", { scope: "col", textContent }));
  $("table").tHead.append(make("tr", {}, choose, ...heads, links));
}

function fillTable(rows) {
  const curve = data.curves[$("y").value];
  for (const [key] of COLUMNS) {
    $(`by-${key}`).ariaSort = key === state.sort ? (state.down ? "descending" : "ascending") : "none";
  }
  $("by-value").firstChild.textContent = curve.title;
  const body = sorted(rows).slice(0, state.rows).map((run) => {
    const box = make("input", { type: "checkbox", value: run.run, checked: state.chosen.includes(run.run), ariaLabel: `Choose ${run.run}` });
    box.addEventListener("change", () => choose(run.run));
    const copy = make("button", { type: "button", textContent: "Copy YAML", ariaLabel: `Copy the YAML of ${run.run}` });
    copy.addEventListener("click", () => copyRecipe(run, copy));
    const href = `../../logs/train/${encodeURIComponent(run.run)}.log`;
    const log = make("a", { href, textContent: "log", title: run.log, ariaLabel: `Log of ${run.run}` });
    const cells = COLUMNS.map(([key]) => {
      const value = key === "strength" ? run.strengthText : key === "value" ? valueOf(curve, run, $("end").value) : run[key];
      return make("td", { className: CLASSES[key] ?? "", textContent: value || value === 0 ? value : "–" });
    });
    return make("tr", {}, make("td", {}, box), ...cells, make("td", { className: "files" }, log, copy));
  });
  $("table").tBodies[0].replaceChildren(...body);
  $("more").hidden = rows.length <= state.rows;
}

async function copyRecipe(run, button) {
  const own = run.kind ? `    ${run.kind}: [${run.strength}]\n` : "";
  $("copied").hidden = false;
  $("yaml").value = `# ${run.run}\n${data.recipe.names[data.recipe.of[run.place]]}${own}    seeds: [${run.seed}]\n`;
  $("yaml").select();
  const written = await navigator.clipboard?.writeText($("yaml").value).then(() => true, () => false);
  const done = written || document.execCommand("copy");
  if (done) button.focus();
  $("said").textContent = done ? `Copied the YAML of ${run.run}.` : "This browser lets no page copy: the text is selected, copy it by hand.";
}

// ---- chosen runs

function choose(run) {
  state.chosen = state.chosen.includes(run) ? state.chosen.filter((other) => other !== run) : [...state.chosen, run];
  showChosen();
}

function showChosen() {
  for (const box of $("table").tBodies[0].querySelectorAll("input")) box.checked = state.chosen.includes(box.value);
  views.points.then((drawn) => drawn?.view.signal("chosen", state.chosen).runAsync());
  const chosen = state.chosen.map((run) => runs[data.run.indexOf(run)]);
  $("none").hidden = chosen.length > 0;
  $("beside").hidden = chosen.length === 0;
  if (!chosen.length) return;
  const names = chosen.map((run, i) => {
    const parts = [run.method, run.activation, run.strengthText, `seed ${run.seed}`];
    return `${i + 1}: ${parts.filter(Boolean).join(", ")}`;
  });
  const has = data.curves.map((curve) => chosen.some((run) => curve.at.has(run.place)));
  for (const side of ["left", "right"]) {
    for (const choice of $(side).querySelectorAll("option")) choice.disabled = !has[choice.value];
    drawCurves(side, chosen, names);
  }
  const line = (title, cell) => {
    const cells = chosen.map((run, i) => make("td", {}, ...[cell(run, i)].flat()));
    return make("tr", {}, make("th", { scope: "row", textContent: title }), ...cells);
  };
  const swatch = (i) => make("span", { className: "swatch", style: `background: ${data.colors[i % data.colors.length]}` });
  const name = (text) => make("span", { className: "run", textContent: text });
  const rows = [
    line("Run", (run, i) => [swatch(i), `${i + 1}: `, name(run.run)]), line("Setup", (run) => run.setup),
    line("Method", (run) => run.method), line("Activation", (run) => run.activation),
    line("Strength", (run) => run.strengthText || "–"), line("Seed", (run) => run.seed),
    line("Status", (run) => run.status), line("Log", (run) => name(run.log)),
  ];
  data.curves.forEach((curve, i) => {
    const title = curve.runs ? `${curve.of}: ${curve.title}` : curve.title;
    if (has[i]) rows.push(line(title, (run) => String(valueOf(curve, run, "last") ?? "–")));
  });
  $("compared").replaceChildren(make("tbody", {}, ...rows));
}

function drawCurves(side, chosen, names) {
  const curve = data.curves[$(side).value];
  const values = chosen.flatMap((run, i) => {
    const [steps, numbers] = curve.at.get(run.place) ?? [[], []];
    return steps.map((step, k) => ({ step, y: numbers[k], name: names[i], run: run.run, value: String(numbers[k]) }));
  });
  const scale = { domain: names, range: data.colors };
  const hover = [["run", "Run"], ["step", "Step"], ["value", curve.title]];
  const wide = room(`${side}-chart`);
  draw(`${side}-chart`, {
    title: heading(values.length ? curve.title : `None of these runs has it: ${curve.title}`, wide),
    description: `${curve.title} along training`, data: { values }, width: Math.max(200, wide - 80), height: 220, mark: { type: "line", point: true },
    encoding: {
      x: { field: "step", type: "quantitative", axis: { title: "Training step" } },
      y: { field: "y", type: "quantitative", scale: { zero: false }, axis: { title: null } },
      color: { field: "name", type: "nominal", scale, legend: { title: null, columns: 1, labelLimit: 400 } },
      tooltip: hover.map(([field, title]) => ({ field, title, type: "nominal" })),
    },
  });
}

// ---- all together

function refresh() {
  state.rows = PAGE;
  const rows = shown();
  const lost = drawPoints(rows);
  const diverged = rows.filter((run) => run.diverged !== null).length;
  const said = [`${rows.length} of ${runs.length} runs`];
  if (diverged) said.push(`, of which ${diverged} diverged`);
  if (lost) said.push("; × at the axis is a run that diverged, which no mean counts");
  $("count").textContent = `${said.join("")}.`;
  fillTable(rows);
}

await loadVega();
$("without").hidden = true;
$("explorer").hidden = false;
fillSelects();
fillFilters();
fillHead();
for (const id of ["y", "end", "x", "color"]) $(id).addEventListener("change", refresh);
for (const id of ["left", "right"]) $(id).addEventListener("change", showChosen);
$("more").addEventListener("click", () => {
  state.rows += PAGE;
  fillTable(shown());
});
$("clear").addEventListener("click", () => {
  state.chosen = [];
  showChosen();
});
refresh();
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return; // the bars of a phone's browser come and go
  width = innerWidth;
  refresh();
  showChosen();
});
