"use strict";
// SWI in three planes on 2D canvases. The volume is one byte a voxel, columns from the patient's right first, then rows
// from anterior, then slices from below; 0 is outside the brain. A place is [column, row, slice], whole at centres.
(() => {
  const element = (id) => document.getElementById(id);
  const about = JSON.parse(element("viewer-about").textContent);
  const [nx, ny, nz] = about.size;
  const [dx, dy, dz] = about.mm;
  const section = element("viewer");
  const middle = [(nx - 1) / 2, (ny - 1) / 2, (nz - 1) / 2];
  const first = () => ({ level: about.white / 2, width: about.white, zoom: false, thick: false, marks: true });
  const state = Object.assign({ at: middle.map(Math.round), chosen: -1 }, first());
  let volume = null;

  const clamp = (value, n) => Math.min(Math.max(value, 0), n - 1);
  const value = (c, r, k) => volume[(k * ny + r) * nx + c];

  // what each plane shows: its size in voxels and mm, the voxel of a pixel, and where a place lies in pixels
  const planes = {
    axial: {
      size: [nx, ny], mm: [dx, dy], axes: [0, 1], across: 2, letters: ["R", "L", "A", "P"], flip: false,
      voxel: (x, y, k) => value(x, y, k),
    },
    coronal: {
      size: [nx, nz], mm: [dx, dz], axes: [0, 2], across: 1, letters: ["R", "L", "S", "I"], flip: true,
      voxel: (x, y, r) => value(x, r, nz - 1 - y),
    },
    sagittal: {
      size: [ny, nz], mm: [dy, dz], axes: [1, 2], across: 0, letters: ["A", "P", "S", "I"], flip: true,
      voxel: (x, y, c) => value(c, x, nz - 1 - y),
    },
  };

  // the lowest of some slices; 0, outside, does not count
  const lowest = (x, y, k) => {
    let low = 0;
    const from = clamp(k - (about.thick >> 1), nz);
    const to = clamp(k - (about.thick >> 1) + about.thick - 1, nz);
    for (let n = from; n <= to; n++) {
      const one = value(x, y, n);
      if (one && (!low || one < low)) low = one;
    }
    return low;
  };

  for (const [name, plane] of Object.entries(planes)) {
    plane.canvas = element(name);
    plane.image = document.createElement("canvas");
    [plane.image.width, plane.image.height] = plane.size;
    const field = [plane.size[0] * plane.mm[0], plane.size[1] * plane.mm[1]];
    plane.canvas.style.aspectRatio = `${field[0]} / ${field[1]}`;
    plane.field = field;
  }

  function draw(name) {
    const plane = planes[name];
    const { canvas, image, size, mm, field } = plane;
    const dense = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * dense));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * dense));

    const pen = image.getContext("2d");
    const pixels = pen.createImageData(size[0], size[1]);
    const grey = new Uint32Array(pixels.data.buffer);
    const low = state.level - state.width / 2;
    const shades = Uint32Array.from({ length: 256 }, (_, n) => {
      const shade = n ? Math.max(0, Math.min(255, Math.round((255 * (n - low)) / state.width))) : 0;
      return 0xff000000 | (shade << 16) | (shade << 8) | shade;
    });
    const voxel = name === "axial" && state.thick ? lowest : plane.voxel;
    const across = clamp(Math.round(state.at[plane.across]), about.size[plane.across]);
    for (let y = 0, n = 0; y < size[1]; y++) for (let x = 0; x < size[0]; x++, n++) grey[n] = shades[voxel(x, y, across)];
    pen.putImageData(pixels, 0, 0);

    const zoom = state.zoom ? 3 : 1;
    const scale = zoom * Math.min(canvas.width / field[0], canvas.height / field[1]);
    const pixel = (place) => {
      const x = place[plane.axes[0]];
      const y = place[plane.axes[1]];
      return [(x + 0.5) * mm[0], ((plane.flip ? size[1] - 1 - y : y) + 0.5) * mm[1]];
    };
    const centre = state.zoom ? pixel(state.at) : [field[0] / 2, field[1] / 2];
    plane.origin = [canvas.width / 2 - centre[0] * scale, canvas.height / 2 - centre[1] * scale];
    plane.scale = scale;
    const on = canvas.getContext("2d");
    on.imageSmoothingEnabled = true;
    on.imageSmoothingQuality = "high";
    on.drawImage(image, plane.origin[0], plane.origin[1], field[0] * scale, field[1] * scale);
    const spot = (place) => pixel(place).map((value, n) => plane.origin[n] + value * scale);
    if (state.marks) {
      cross(on, spot(state.at), canvas, scale, dense);
      for (const [n, mark] of about.marks.entries()) ring(on, plane, mark, n === state.chosen, spot(mark.at), scale, dense);
    }
    frame(on, plane, scale, dense);
  }

  function line(on, dense, colour, width, path) {
    for (const [shade, wide] of [["rgba(0,0,0,.75)", width + 2], [colour, width]]) {
      on.strokeStyle = shade;
      on.lineWidth = wide * dense;
      on.beginPath();
      path();
      on.stroke();
    }
  }

  function word(on, dense, text, x, y, align, colour) {
    on.font = `700 ${14 * dense}px system-ui, "DejaVu Sans", Arial, sans-serif`;
    on.textAlign = align;
    on.textBaseline = "middle";
    on.lineJoin = "round";
    on.lineWidth = 3 * dense;
    on.strokeStyle = "#000";
    on.strokeText(text, x, y);
    on.fillStyle = colour;
    on.fillText(text, x, y);
  }

  // hair lines that leave the middle free
  function cross(on, [x, y], canvas, scale, dense) {
    const gap = 9 * scale;
    on.strokeStyle = "rgba(150,190,230,.55)";
    on.lineWidth = dense;
    on.beginPath();
    for (const [ax, ay, bx, by] of [[0, y, x - gap, y], [x + gap, y, canvas.width, y], [x, 0, x, y - gap], [x, y + gap, x, canvas.height]]) {
      on.moveTo(ax, ay);
      on.lineTo(bx, by);
    }
    on.stroke();
  }

  function ring(on, plane, mark, chosen, [x, y], scale, dense) {
    const reach = [dx, dy, dz][plane.across];
    const away = Math.abs(Math.round(state.at[plane.across]) - mark.at[plane.across]) * reach;
    const thick = plane.across === 2 && state.thick ? (about.thick * dz) / 2 : 0;
    if (away > Math.max(mark.radius, reach / 2, thick)) return;
    const radius = mark.radius * scale;
    on.setLineDash(mark.kind === "finding" ? [] : [4 * dense, 4 * dense]);
    line(on, dense, mark.kind === "finding" ? "#ffd84d" : "#fff", chosen ? 2.2 : 1.2, () => on.arc(x, y, radius, 0, 7));
    on.setLineDash([]);
    const right = x + radius + 26 * dense < plane.canvas.width;
    word(on, dense, mark.id, x + (right ? 1 : -1) * (radius + 5 * dense), y - radius * 0.8, right ? "left" : "right", mark.kind === "finding" ? "#ffd84d" : "#fff");
  }

  function frame(on, plane, scale, dense) {
    const { width, height } = plane.canvas;
    const edge = 14 * dense;
    const [left, right, top, bottom] = plane.letters;
    word(on, dense, left, edge, height / 2, "center", "#fff");
    word(on, dense, right, width - edge, height / 2, "center", "#fff");
    word(on, dense, top, width / 2, edge, "center", "#fff");
    word(on, dense, bottom, width / 2, height - edge, "center", "#fff");
    const mm = [50, 20, 10, 5, 2].find((length) => length * scale <= Math.min(width, height) / 5) || 1;
    line(on, dense, "#fff", 2, () => {
      on.moveTo(edge, height - edge);
      on.lineTo(edge + mm * scale, height - edge);
    });
    word(on, dense, `${mm} mm`, edge + mm * scale + 6 * dense, height - edge, "left", "#fff");
  }

  function show() {
    for (const name of Object.keys(planes)) draw(name);
    const [c, r, k] = state.at;
    const world = about.world.map((row) => (row[0] * c + row[1] * r + row[2] * k + row[3]).toFixed(1));
    const mark = about.marks[state.chosen];
    const lines = [`slice ${about.slices[clamp(Math.round(k), nz)]}`, `${world.join(", ")} mm`];
    if (mark) lines.push(`${mark.kind} ${mark.id}`);
    element("viewer-readout").textContent = lines.join(" · ");
    for (const [n, button] of section.querySelectorAll("#viewer-list button").entries()) {
      if (n === state.chosen) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    for (const name of ["zoom", "thick", "marks"]) {
      section.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(state[name]));
    }
    section.dataset.at = state.at.map((value) => value.toFixed(2)).join(" ");
    section.dataset.window = `${Math.round(state.level)} ${Math.round(state.width)}`;
  }

  function choose(n) {
    if (!about.marks.length) return;
    state.chosen = (n + about.marks.length) % about.marks.length;
    state.at = about.marks[state.chosen].at.map((value, axis) => clamp(value, about.size[axis]));
    const button = section.querySelectorAll("#viewer-list button")[state.chosen];
    button.parentElement.parentElement.scrollTop = button.offsetTop - button.parentElement.parentElement.offsetTop - 40;
  }

  function step(axis, n) {
    state.at[axis] = clamp(Math.round(state.at[axis]) + n, about.size[axis]);
    state.chosen = -1;
  }

  const actions = {
    up: () => step(2, 1),
    down: () => step(2, -1),
    far: () => step(2, 5),
    back: () => step(2, -5),
    next: () => choose(state.chosen + 1),
    previous: () => choose(state.chosen < 0 ? -1 : state.chosen - 1),
    // a higher level is a darker picture
    darker: () => (state.level = Math.min(255, state.level + 8)),
    brighter: () => (state.level = Math.max(0, state.level - 8)),
    harder: () => (state.width = Math.max(16, state.width / 1.2)),
    softer: () => (state.width = Math.min(510, state.width * 1.2)),
    reset: () => Object.assign(state, first()),
    zoom: () => (state.zoom = !state.zoom),
    thick: () => (state.thick = !state.thick),
    marks: () => (state.marks = !state.marks),
  };
  const keys = {
    ArrowUp: "up", ArrowDown: "down", PageUp: "far", PageDown: "back", ArrowRight: "next", ArrowLeft: "previous",
    "-": "darker", "+": "brighter", "=": "brighter", "[": "softer", "]": "harder", 0: "reset", z: "zoom", t: "thick", m: "marks",
  };

  function act(name) {
    actions[name]();
    show();
  }

  function listen() {
    section.addEventListener("keydown", (event) => {
      const name = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act(name);
    });
    for (const button of section.querySelectorAll("[data-do]")) button.addEventListener("click", () => act(button.dataset.do));
    for (const plane of Object.values(planes)) {
      let rolled = 0;
      plane.canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        rolled += event.deltaMode ? 40 * event.deltaY : event.deltaY;
        const steps = Math.trunc(rolled / 40);
        rolled -= 40 * steps;
        if (!steps) return;
        step(plane.across, plane.across === 2 ? -steps : steps);
        show();
      }, { passive: false });
      const point = (event) => {
        if (!(event.buttons & 1)) return;
        const dense = plane.canvas.width / plane.canvas.clientWidth;
        const place = [event.offsetX, event.offsetY].map((value, n) => (value * dense - plane.origin[n]) / plane.scale / plane.mm[n] - 0.5);
        state.at[plane.axes[0]] = clamp(Math.round(place[0]), plane.size[0]);
        state.at[plane.axes[1]] = clamp(Math.round(plane.flip ? plane.size[1] - 1 - place[1] : place[1]), plane.size[1]);
        state.chosen = -1;
        show();
      };
      plane.canvas.addEventListener("pointerdown", (event) => {
        section.focus({ preventScroll: true });
        point(event);
      });
      // in a zoomed picture the place stays in the middle: dragging would run away
      plane.canvas.addEventListener("pointermove", (event) => state.zoom || point(event));
    }
    for (const button of document.querySelectorAll(".jump")) {
      button.addEventListener("click", () => {
        const { kind, id } = button.dataset;
        choose(about.marks.findIndex((mark) => mark.kind === kind && mark.id === Number(id)));
        show();
        section.scrollIntoView();
        section.focus({ preventScroll: true });
      });
    }
    new ResizeObserver(show).observe(element("viewer-body"));
  }

  function list() {
    for (const [n, mark] of about.marks.entries()) {
      const [item, button, name, value] = ["li", "button", "b", "span"].map((tag) => document.createElement(tag));
      button.type = "button";
      name.textContent = mark.id;
      value.textContent = mark.says;
      button.append(name, `slice ${mark.slice}`, value, mark.kind === "finding" ? "" : mark.kind);
      button.addEventListener("click", () => {
        choose(n);
        show();
      });
      item.append(button);
      element("viewer-list").append(item);
    }
  }

  async function start() {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the volume; a newer one can.");
    const bytes = Uint8Array.from(atob(element("viewer-volume").textContent), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    volume = new Uint8Array(await new Response(unpacked).arrayBuffer());
    if (volume.length !== nx * ny * nz) throw new Error("the volume in this page is damaged.");
    element("viewer-status").hidden = true;
    element("viewer-body").hidden = false;
    list();
    listen();
    if (about.marks.length && about.marks[0].kind === "finding") choose(0);
    show();
    section.dataset.viewer = "ready";
  }

  start().catch((error) => {
    element("viewer-status").textContent = `The viewer could not start: ${error.message}`;
    section.dataset.viewer = "failed";
  });
})();
