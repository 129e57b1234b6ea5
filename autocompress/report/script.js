"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

const NARROW = 700; // pixels

// --- figures, in the colours of the page ---

let chosen = null; // the trial whose images are shown

function themed(figure) {
  const { data: traces, layout } = structuredClone(figure);
  for (const trace of traces) {
    const own = colour(trace.meta.colour);
    if (trace.marker) {
      trace.marker.color = own;
      if (trace.marker.line) trace.marker.line.color = own;
    }
    if (trace.line) trace.line.color = own;
  }
  const [text, muted, line] = ["text", "muted", "line"].map(colour);
  const clear = "rgba(0,0,0,0)";
  layout.font = { ...layout.font, color: text, family: getComputedStyle(document.body).fontFamily, size: 13 };
  layout.paper_bgcolor = layout.plot_bgcolor = clear;
  layout.hoverlabel = { align: "left", bgcolor: colour("surface"), bordercolor: muted, font: { color: text, size: 12 } };
  layout.modebar = { bgcolor: clear, color: muted, activecolor: text };
  for (const axis of [layout.xaxis, layout.yaxis]) Object.assign(axis, { gridcolor: line, linecolor: line, tickcolor: line });
  for (const shape of layout.shapes ?? []) shape.line.color = muted;
  for (const note of layout.annotations ?? []) note.font = { color: muted, size: 12 };
  if (layout.xaxis.tickvals && innerWidth < NARROW) {
    layout.xaxis.ticktext = layout.xaxis.ticktext.map((text) => (text.startsWith("2") ? "" : text));
    layout.xaxis.tickfont = { size: 11 };
    layout.legend.y = -0.26; // it has a line for each name, and the picture is less high
  }
  layout.uirevision = "kept"; // what was switched on or zoomed stays so
  const ring = chosen === null ? null : ringAround(traces);
  if (ring) traces.push(ring);
  return [traces, layout];
}

function ringAround(traces) {
  for (const trace of traces) {
    const index = (trace.customdata ?? []).indexOf(chosen);
    if (index >= 0)
      return {
        x: [trace.x[index]], y: [trace.y[index]], mode: "markers", hoverinfo: "skip", showlegend: false, name: "chosen",
        marker: { size: 25, symbol: "circle-open", color: colour("pick"), line: { width: 2, color: colour("pick") } },
      };
  }
  return null;
}

function draw(names = Object.keys(data.figures)) {
  const options = { ...data.config, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  for (const name of names) Plotly.react(find("figure-" + name), ...themed(data.figures[name]), options);
}

// --- the table ---

const table = find("table");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];

// `num_feat=8` comes before `num_feat=12`
function compareWords(a, b) {
  const [left, right] = [a, b].map((text) => text.split(/[ =]/));
  for (let place = 0; place < Math.min(left.length, right.length); place++) {
    const numbers = left[place] - right[place];
    const found = Number.isNaN(numbers) ? left[place].localeCompare(right[place]) : numbers;
    if (found) return found;
  }
  return left.length - right.length;
}

function sort(column) {
  const heading = headings[column];
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = heading.classList.contains("number")
    ? (a, b) => value(a) - value(b)
    : (a, b) => compareWords(value(a), value(b));
  const rows = [...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a)));
  body.append(...rows);
}

function filter() {
  const only = find("front-only").checked;
  const rows = [...body.rows];
  for (const row of rows) row.hidden = only && !row.classList.contains("on-front");
  const shown = rows.filter((row) => !row.hidden).length;
  find("shown").textContent = `${shown} of ${rows.length} students; a heading sorts by its column.`;
}

headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => sort(column)));
find("front-only").addEventListener("change", filter);
filter();

// --- images of students ---

function press(group, value) {
  for (const button of find(group).children) button.setAttribute("aria-pressed", String(button.value === value));
}

const pressed = (group) => find(group).querySelector('[aria-pressed="true"]').value;

function show() {
  const crop = data.comparison.crops[pressed("crops")];
  const other = pressed("others");
  const image = crop.students[chosen];
  const stage = find("comparison").querySelector(".slider");
  stage.style.setProperty("--width", crop.width);
  stage.style.setProperty("--height", crop.height);
  find("left").src = crop.others[other] ?? "";
  find("left").alt = `${crop.image} by ${other}`;
  find("right").hidden = !image;
  if (image) find("right").src = image;
  find("right").alt = `${crop.image} by the student of trial ${chosen}`;
  find("comparison").querySelector(".missing").hidden = Boolean(image);
  find("left-name").textContent = `\u2190 ${other}`;
  find("right-name").textContent = `student, trial ${chosen} \u2192`;
}

function choose(trial) {
  chosen = trial;
  find("student").value = String(trial);
  for (const row of body.rows) row.classList.toggle("chosen", Number(row.dataset.trial) === trial);
  show();
  draw(["front"]);
}

function slide() {
  find("comparison").style.setProperty("--at", find("position").value);
  find("position").setAttribute("aria-valuetext", `${find("position").value} % ${pressed("others")}`);
}

function compare() {
  const students = [...find("student").options].map((option) => Number(option.value));
  find("student").addEventListener("change", (event) => choose(Number(event.target.value)));
  for (const group of ["others", "crops"])
    find(group).addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      press(group, button.value);
      show();
      slide();
    });
  find("position").addEventListener("input", slide);
  body.addEventListener("click", (event) => {
    const trial = Number(event.target.closest("tr").dataset.trial);
    if (!students.includes(trial)) return;
    choose(trial);
    if (event.target.closest(".link")) find("images").scrollIntoView();
  });
  find("figure-front").on("plotly_click", ({ points }) => {
    if (students.includes(points[0].customdata)) choose(points[0].customdata);
  });
  choose(Number(find("student").value));
  slide();
}

// --- commands ---

async function copy(button) {
  const command = button.previousElementSibling;
  getSelection().selectAllChildren(command); // to be copied by hand where that is refused
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));

draw();
if (data.comparison) compare();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", () => draw());
addEventListener("beforeprint", () => draw());
addEventListener("afterprint", () => draw());
