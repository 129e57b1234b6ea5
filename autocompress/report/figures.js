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
    const own = colour(trace.meta.trial !== undefined && trace.meta.trial === chosen ? "pick" : trace.meta.colour);
    if (trace.meta.trial !== undefined && trace.meta.trial === chosen) trace.line.width = 3;
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
  for (const axis of [layout.xaxis, layout.yaxis]) {
    Object.assign(axis, { gridcolor: line, linecolor: line, tickcolor: line });
    axis.title.font = { size: 14 };
  }
  for (const shape of layout.shapes ?? []) shape.line.color = muted;
  for (const note of layout.annotations ?? []) note.font = { color: muted, size: 12 };
  if (layout.xaxis.tickvals && innerWidth < NARROW) {
    layout.xaxis.ticktext = layout.xaxis.ticktext.map((text) => (/^[27]/.test(text) ? "" : text));
    layout.xaxis.tickfont = { size: 11 };
    layout.margin = { ...layout.margin, r: 8 };
    layout.legend.y = -0.26; // the picture is less high, so its title takes a larger share
  }
  layout.uirevision = "kept"; // what was switched on or zoomed stays so
  const ring = chosen === null || !layout.xaxis.tickvals ? null : ringAround(traces);
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
  if (!window.Plotly) return; // it is being unpacked, or this browser cannot do that
  const options = { ...data.config, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  for (const name of names) {
    if (!(name in data.figures)) continue;
    find("figure-" + name).querySelector(".still")?.remove();
    Plotly.react(find("figure-" + name), ...themed(data.figures[name]), options);
  }
}

// Plotly's script is packed, as it is large
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}


async function drawAll() {
  const script = document.createElement("script");
  script.textContent = await unpacked(find("plotly").textContent);
  document.head.append(script);
  draw();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", () => draw());
addEventListener("beforeprint", () => draw());
addEventListener("afterprint", () => draw());
