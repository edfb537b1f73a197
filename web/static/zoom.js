// A sheet at 100 %: one pixel of the file on one pixel of the screen, around where it was clicked; once more, and it fits.

const place = document.querySelector("[data-zoom]");
const image = place.querySelector("img");
document.querySelector("[data-zoom-hint]").hidden = false;

function toggle(x = 0.5, y = 0.5) {
  const isFull = place.classList.toggle("full");
  image.style.width = isFull ? `${image.naturalWidth / devicePixelRatio}px` : "";
  if (isFull) {
    place.scrollLeft = x * image.clientWidth - place.clientWidth / 2;
    place.scrollTop = y * image.clientHeight - place.clientHeight / 2;
  }
}

image.addEventListener("click", (event) => toggle(event.offsetX / image.clientWidth, event.offsetY / image.clientHeight));
place.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(); });
