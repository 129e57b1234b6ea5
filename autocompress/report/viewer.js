
// --- pictures: two versions of one image under a line, zoomed and moved together ---

const MOST_ZOOM = 16; // screen pixels for one of the image
const LARGE = 2; // from this zoom on, pixels are shown as squares
const WORST = 32; // levels of luma: the brightest colour of the error map
const COLOURS = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]; // matplotlib's inferno

// where the image is: a pixel of it at (u, v) is at (x + zoom * u, y + zoom * v) of the stage
const view = { image: 0, zoom: 1, x: 0, y: 0, at: 50, errors: false, framed: "piece" };
const stage = find("stage");
const sides = ["left", "right"];

const image = () => data.pictures.images[view.image];
const layerName = (side) => find(side + "-layer").value;
const layer = (side) => image().layers[layerName(side)];
const decibels = (psnr) => (psnr == null ? "" : psnr.toFixed(2));

function size() {
  return [stage.clientWidth, stage.clientHeight];
}

function place() {
  const { width, height } = image();
  const [wide, high] = size();
  const kept = (at, room, length) => (length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, at)));
  view.x = kept(view.x, wide, width * view.zoom);
  view.y = kept(view.y, high, height * view.zoom);
  for (const world of stage.querySelectorAll(".world")) {
    world.style.width = `${width}px`;
    world.style.height = `${height}px`;
    world.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    world.classList.toggle("large", view.zoom >= LARGE);
  }
  stage.style.setProperty("--at", view.at);
  stage.classList.toggle("zoomed", view.zoom > smallest() * 1.01);
  find("position").value = view.at;
  find("zoom-piece").setAttribute("aria-pressed", String(view.framed === "piece"));
  find("zoom-whole").setAttribute("aria-pressed", String(view.framed === "whole"));
}

function smallest() {
  const [wide, high] = size();
  return Math.min(wide / image().width, high / image().height);
}

function frame(what) {
  const [left, top, width, height] = what === "piece" ? image().window : [0, 0, image().width, image().height];
  const [wide, high] = size();
  view.framed = what;
  view.zoom = what === "piece" ? Math.min(wide / width, high / height) : smallest();
  view.x = wide / 2 - (left + width / 2) * view.zoom;
  view.y = high / 2 - (top + height / 2) * view.zoom;
  place();
}

function zoom(factor, [x, y] = size().map((side) => side / 2)) {
  const before = view.zoom;
  view.zoom = Math.min(MOST_ZOOM, Math.max(smallest(), before * factor));
  view.x = x - ((x - view.x) * view.zoom) / before;
  view.y = y - ((y - view.y) * view.zoom) / before;
  view.framed = "";
  place();
}

function move(across, down) {
  view.x += across;
  view.y += down;
  view.framed = "";
  place();
}

// --- what is seen ---

function show() {
  const { name, window: [left, top, width, height] } = image();
  const missing = sides.filter((side) => !layer(side)).map(layerName);
  for (const side of sides) {
    const own = layer(side);
    const [whole, piece] = find(side).querySelectorAll("img");
    find(side).hidden = !own || view.errors;
    if (own) whole.src = own.whole;
    whole.alt = `${name} by ${layerName(side)}`;
    piece.hidden = !own?.piece;
    if (own?.piece) piece.src = own.piece;
    find(side + "-tag").textContent = layerName(side) + (own?.psnr == null ? "" : ` \u00b7 ${decibels(own.psnr)} dB`);
    find(side + "-tag").hidden = view.errors;
  }
  for (const piece of stage.querySelectorAll(".piece"))
    Object.assign(piece.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  stage.querySelector(".missing").hidden = missing.length === 0;
  stage.querySelector(".missing").textContent = `No picture by ${missing.join(", ")}.`;
  find("errors").hidden = !view.errors || missing.length > 0;
  find("handle").hidden = find("position").hidden = view.errors;
  find("error-scale").hidden = !view.errors;
  find("show-errors").setAttribute("aria-pressed", String(view.errors));
  for (const button of find("images-list").children) {
    const one = data.pictures.images[button.value];
    const both = sides.map((side) => decibels(one.layers[layerName(side)]?.psnr));
    button.setAttribute("aria-pressed", String(Number(button.value) === view.image));
    button.querySelector("small").textContent = both.some(Boolean) ? both.map((psnr) => psnr || "\u2013").join(" | ") : "";
  }
  if (view.errors && missing.length === 0) drawErrors();
  place();
}

function look(trial) {
  const name = `trial ${trial}`;
  if (data.pictures?.students.includes(name)) find("right-layer").value = name;
  choose(trial);
  if (data.pictures) show();
}

// --- how far two pictures are apart ---

async function pixels(source) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const luma = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue;

function heat(share) {
  const place = Math.min(1, share) * (COLOURS.length - 1);
  const low = Math.min(COLOURS.length - 2, Math.floor(place));
  return COLOURS[low].map((value, index) => value + (place - low) * (COLOURS[low + 1][index] - value));
}

const HEAT = Array.from({ length: 256 }, (_, level) => heat(level / WORST));

async function drawErrors() {
  const [left, right] = sides.map(layer);
  for (const what of ["whole", "piece"]) {
    const canvas = find("errors").querySelector("." + what);
    canvas.hidden = !left[what];
    if (!left[what]) continue;
    const [one, other] = await Promise.all([pixels(left[what]), pixels(right[what])]);
    const out = new ImageData(one.width, one.height);
    for (let at = 0; at < out.data.length; at += 4) {
      const apart = Math.abs(luma(one.data.subarray(at, at + 3)) - luma(other.data.subarray(at, at + 3)));
      out.data.set(HEAT[Math.round(apart)], at);
      out.data[at + 3] = 255;
    }
    canvas.width = one.width;
    canvas.height = one.height;
    canvas.getContext("2d").putImageData(out, 0, 0);
  }
}

// --- by hand ---

const pointers = new Map();

function inStage(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function spread() {
  const [a, b] = [...pointers.values()];
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

function pressed(event) {
  if (event.target === find("handle")) return;
  pointers.set(event.pointerId, inStage(event));
  stage.setPointerCapture(event.pointerId);
}

function moved(event) {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = inStage(event);
  if (pointers.size === 2) {
    const apart = spread();
    pointers.set(event.pointerId, now);
    const [a, b] = [...pointers.values()];
    zoom(spread() / apart, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
  } else {
    pointers.set(event.pointerId, now);
    move(now[0] - before[0], now[1] - before[1]);
  }
}

function slide(event) {
  const [x] = inStage(event);
  view.at = Math.round(Math.min(100, Math.max(0, (x / stage.clientWidth) * 100)));
  place();
}

const KEYS = {
  ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40),
  "+": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => frame("whole"),
};

function compare() {
  find("left-layer").value = "bicubic";
  find("right-layer").value = data.pictures.students[0];
  for (const side of sides)
    find(side + "-layer").addEventListener("change", () => {
      const trial = Number(layerName(side).replace("trial ", ""));
      if (data.pictures.students.includes(layerName(side))) choose(trial);
      show();
    });
  find("swap").addEventListener("click", () => {
    const [left, right] = sides.map(layerName);
    find("left-layer").value = right;
    find("right-layer").value = left;
    show();
  });
  find("images-list").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    view.image = Number(button.value);
    show();
    frame(view.framed || "piece");
  });
  for (const what of ["piece", "whole"]) find("zoom-" + what).addEventListener("click", () => frame(what));
  find("zoom-in").addEventListener("click", () => zoom(1.5));
  find("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  find("show-errors").addEventListener("click", () => {
    view.errors = !view.errors;
    show();
  });
  find("position").addEventListener("input", (event) => {
    view.at = Number(event.target.value);
    place();
  });
  stage.addEventListener("pointerdown", pressed);
  stage.addEventListener("pointermove", moved);
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
  stage.addEventListener("dblclick", (event) => zoom(2, inStage(event)));
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls; pinching a touchpad comes with ctrlKey
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), inStage(event));
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.target !== stage) return;
    event.preventDefault();
    act();
  });
  const handle = find("handle");
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && slide(event));
  body.addEventListener("click", (event) => {
    const trial = Number(event.target.closest("tr").dataset.trial);
    if (!data.pictures.students.includes(`trial ${trial}`)) return;
    look(trial);
    if (event.target.closest(".link")) find("images").scrollIntoView();
  });
  look(data.pick ?? Number(data.pictures.students[0].replace("trial ", "")));
  frame("piece");
  new ResizeObserver(() => frame(view.framed || "piece")).observe(stage);
}
