// What the person gives: texts, images, windows of signals.

const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
let reads = "text";
let loaded = [];
let drawn = false;
let changed = () => {};

/** Shows what fits an encoder; `then` is called whenever the input changes. */
export function setUp(kind, then) {
  reads = kind;
  changed = then;
  $("text-input").hidden = kind !== "text";
  $("image-input").hidden = kind !== "image";
  $("files").accept = { text: ".txt,.csv,text/*", image: "image/*", signal: ".csv,.tsv,.txt" }[kind];
  empty();
}

export function empty() {
  loaded = [];
  drawn = false;
  $("text").value = "";
  $("files").value = "";
  $("loaded").textContent = "";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
}

/** The inputs, each with what is shown of it. */
export function current() {
  if (loaded.length) return loaded;
  if (reads === "text") {
    const lines = $("text").value.split("\n").map((line) => line.trim()).filter(Boolean);
    return lines.map((text) => ({ input: { text }, shown: text }));
  }
  if (reads === "image" && drawn) return [picture(canvas)];
  return [];
}

function picture(source) {
  const small = document.createElement("canvas");
  small.width = small.height = 48;
  small.getContext("2d").drawImage(source, 0, 0, 48, 48);
  return { input: { image: source.toDataURL("image/png") }, shown: small.toDataURL("image/png") };
}

/** Columns are channels; a first line of names is left out. */
function window_(text) {
  const rows = text.trim().split(/\r?\n/).map((line) => line.split(/[,;\t]/).map(Number));
  const numbers = rows.filter((row) => row.every(Number.isFinite));
  return (numbers[0] ?? []).map((_, channel) => numbers.map((row) => row[channel] ?? 0));
}

async function read(files) {
  loaded = [];
  for (const file of files) {
    if (reads === "image") {
      const bitmap = await createImageBitmap(file);
      pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      loaded.push(picture(canvas));
    } else if (reads === "signal") {
      loaded.push({ input: { signal: window_(await file.text()) }, shown: file.name });
    } else {
      for (const line of (await file.text()).split("\n").map((line) => line.trim())) {
        if (line) loaded.push({ input: { text: line }, shown: line });
      }
    }
  }
  $("loaded").textContent = loaded.length ? `${loaded.length} inputs from files` : "";
  changed();
}

$("files").addEventListener("change", (event) => read(event.target.files));
$("text").addEventListener("input", () => {
  loaded = [];
  $("loaded").textContent = "";
  changed();
});

const zone = $("drop").parentElement;
zone.addEventListener("dragover", (event) => {
  event.preventDefault();
  zone.classList.add("over");
});
zone.addEventListener("dragleave", () => zone.classList.remove("over"));
zone.addEventListener("drop", (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  if (event.dataTransfer.files.length) read(event.dataTransfer.files);
});

canvas.addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  const scale = canvas.width / canvas.clientWidth;
  pen.fillStyle = "#000";
  pen.beginPath();
  pen.arc(event.offsetX * scale, event.offsetY * scale, 8, 0, 2 * Math.PI);
  pen.fill();
  drawn = true;
  loaded = [];
});
canvas.addEventListener("pointerup", () => changed());
$("clear").addEventListener("click", () => {
  empty();
  changed();
});
$("camera").addEventListener("click", async () => {
  const video = $("video");
  if (video.srcObject) {
    pen.drawImage(video, 0, 0, canvas.width, canvas.height);
    video.srcObject.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.hidden = true;
    $("camera").textContent = "Camera";
    drawn = true;
    changed();
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    video.hidden = false;
    await video.play();
    $("camera").textContent = "Take the picture";
  } catch (error) {
    $("loaded").textContent = `The camera cannot be used: ${error.message}`;
  }
});
