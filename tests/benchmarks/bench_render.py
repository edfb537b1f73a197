"""CPU seconds, wall time and peak memory of rendering: ours, libvips (pyvips), ImageMagick, a plain Pillow script.

Ours is measured twice: with Pillow as it comes (ours), and with pillow-simd as the box has it (ours-simd), where this
processor has AVX2. The goals are judged on what the box has.

    make bench-render

Same work on the same generated 24-megapixel photos in a wide-gamut colour space, in one run:
  a  one 8x10 in at 300 dpi with 1/8 in bleed, converted to sRGB, sharpened
  b  a real order: one 8x10, two 5x7, a sheet of 8 wallets and a 1600 px web file of the same photo
  c  proofs at 1200 px
  d  orders like b per minute, with one and with two worker processes (ours through the appliance's own pool)
Each peer's work runs in a process of its own, measured by the kernel; its start-up is measured alone and taken off.
Outputs are compared with ours: the mean ΔE*ab may not pass DELTA_E, so that nobody wins by doing less.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, ImageFilter, ImageStat

PHOTOS = {"a": 10, "b": 10, "c": 200}
ORDERS_D = 16
DISTINCT = 6
DELTA_E = 3.0
SIMD_PYTHON = Path(__file__).parents[2] / ".venv-simd" / "bin" / "python"
PEERS = ("ours", *(("ours-simd",) if SIMD_PYTHON.exists() else ()), "pyvips", "pillow", "imagemagick")
QUICK = os.environ.get("BENCH_PEERS", "")  # such as ours,pyvips: only these
QUALITY = 92


def wide_gamut_profile() -> bytes:
    """sRGB's profile with Adobe RGB (1998)'s primaries, adapted to D50: what cameras write, and not sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
    }
    for entry in range(int.from_bytes(profile[128:132], "big")):
        at = 132 + 12 * entry
        if bytes(profile[at : at + 4]) in primaries:
            offset = int.from_bytes(profile[at + 4 : at + 8], "big") + 8
            values = (round(value * 65536) for value in primaries[bytes(profile[at : at + 4])])
            struct.pack_into(">3i", profile, offset, *values)
    return bytes(profile)


def make_photos(folder: Path) -> None:
    from render.samples import sample_photo

    for number in range(DISTINCT):
        with Image.open(io.BytesIO(sample_photo(number, 6000, 4000))) as image:
            image.save(folder / f"{number}.jpg", quality=92, icc_profile=wide_gamut_profile())
    (folder / "wide.icc").write_bytes(wide_gamut_profile())
    (folder / "srgb.icc").write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


# -- the peers' work --------------------------------------------------------------------------------------------

# Where the pixels of each print come from on a 6000 x 4000 photo: (left, top, width, height, out width, out height).
SHEETS = {
    "8x10": (500, 0, 5000, 4000, 3000, 2400),
    "5x7": (200, 0, 5600, 4000, 2100, 1500),
    "wallet": (200, 0, 5600, 4000, 1050, 750),
}
# What is compared: our files with everybody else's.
OUTPUTS = {
    "a": {"0.jpg": "0.jpg"},
    "b": {"0.jpg": "8x10.jpg", "1.jpg": "5x7.jpg", "2.jpg": "wallets.jpg", "3.jpg": "web.jpg"},
    "c": {"0.jpg": "0.jpg"},
}
WEB_PX, PROOF_PX = 1600, 1200


def work_ours(task: str, source: Path, out: Path) -> None:
    from render.draw import DrawTask, Source, draw
    from render.frames import Picture
    from render.plan import plan
    from render.ready_made import READY_MADE
    from store.profiles import RenderProfile, Sharpening
    from store.pushed import RecordPush
    from store.records import Instructions, RenderJob
    from tests.studio import ERROR, FINISH, NOW, SELECT

    sharp = Sharpening(amount_percent=80, radius_px=1.0, threshold=2)
    common = {"jpeg_quality": QUALITY, "folder": "", "file_name": "x"}
    profiles = {
        "a": [RenderProfile(id=1, name="a", size="8x10", bleed_um=3_175, sharpening=sharp, **common)],
        "b": [
            RenderProfile(id=1, name="8x10", size="8x10", **common),
            RenderProfile(id=2, name="5x7", size="5x7", **common),
            RenderProfile(id=3, name="wallets", layout=READY_MADE["8 wallets on 8x10"], **common),
            RenderProfile(id=4, name="web", sizing="longest edge", longest_edge_px=WEB_PX, **common),
        ],
        "c": [RenderProfile(id=1, name="c", sizing="longest edge", longest_edge_px=PROOF_PX, **common)],
    }[task]
    record = RecordPush(
        kind="session", number="1", revision=1, status=SELECT,
        images=[{"name": "0.jpg", "sha256": "0" * 64}], items=[{"id": "1", "image": "0.jpg", "size": "8x10"}],
    )  # fmt: skip
    job = RenderJob(
        name="j", kind="session", select_status=SELECT, profile_ids=(1,), finish_status=FINISH, error_status=ERROR
    )
    instructions = Instructions(id=1, record=record, render_job=job, profiles=tuple(profiles))
    sheets, failures = plan(instructions, {"0.jpg": Picture(width_px=6000, height_px=4000)}, NOW)
    assert not failures
    tasks = tuple((sheet, out / f"{n}.jpg", out / f"{n}.thumb.jpg") for n, sheet in enumerate(sheets))
    draw(DrawTask((Source("0.jpg", source),), 10**9, tasks))


def orders_per_minute(photos: Path, out: Path, workers: int) -> None:
    """Task d through the appliance's pool of processes; prints the figure."""
    from render.workers import Workers

    pool = Workers(workers)
    tasks = []
    for number in range(ORDERS_D):
        (out / str(number)).mkdir(parents=True)
        tasks.append(("b", photos / f"{number % DISTINCT}.jpg", out / str(number)))
    for future in [pool.submit(_warm, None) for _ in range(workers)]:
        future.result()
    began = time.perf_counter()
    for future in [pool.submit(_order, task) for task in tasks]:
        future.result()
    print(round(60 * ORDERS_D / (time.perf_counter() - began), 1))
    pool.stop()


def _order(task: tuple[str, Path, Path]) -> None:
    work_ours(*task)


def _warm(_: None) -> None:
    time.sleep(1)


def work_pyvips(task: str, source: Path, out: Path) -> None:
    import pyvips

    def saved(image: pyvips.Image, name: str) -> None:
        image.jpegsave(str(out / name), Q=QUALITY, subsample_mode="off")

    def to_srgb(image: pyvips.Image) -> pyvips.Image:
        return image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)

    def print_of(box: tuple[float, ...], width: int, height: int) -> pyvips.Image:
        left, top, box_width, box_height = box
        shrink = max(1, int(min(box_width / width, box_height / height)))
        factor = next(f for f in (8, 4, 2, 1) if f <= shrink)
        image = pyvips.Image.new_from_file(str(source), shrink=factor, access="sequential").copy_memory()
        region = image.crop(left // factor, top // factor, box_width // factor, box_height // factor)
        return region.resize(width / region.width, vscale=height / region.height, kernel="lanczos3")

    if task == "a":
        image = pyvips.Image.new_from_file(str(source)).copy_memory()
        region = image.embed(63, 63, 6126, 4126, extend="mirror").crop(500 - 62 + 63, 1, 5125, 4125)
        printed = to_srgb(region.resize(3075 / 5125, vscale=2475 / 4125, kernel="lanczos3"))
        saved(printed.sharpen(sigma=1.0, m2=0.8, x1=2), "0.jpg")
    elif task == "b":
        for name in ("8x10", "5x7"):
            left, top, width, height, out_width, out_height = SHEETS[name]
            saved(to_srgb(print_of((left, top, width, height), out_width, out_height)), f"{name}.jpg")
        left, top, width, height, out_width, out_height = SHEETS["wallet"]
        wallet = to_srgb(print_of((left, top, width, height), out_width, out_height)).copy_memory()
        turned = wallet.rot270()
        sheet = pyvips.Image.black(2400, 3000, bands=3).new_from_image([255, 255, 255]).copy(interpretation="srgb")
        for row in range(2):
            for column in range(3):
                sheet = sheet.insert(turned, 75 + 750 * column, 75 + 1050 * row)
        for column in range(2):
            sheet = sheet.insert(wallet, 150 + 1050 * column, 2175)
        saved(sheet, "wallets.jpg")
        saved(pyvips.Image.thumbnail(str(source), WEB_PX, export_profile="srgb", intent="relative"), "web.jpg")
    else:
        saved(pyvips.Image.thumbnail(str(source), PROOF_PX, export_profile="srgb", intent="relative"), "0.jpg")


def work_pillow(task: str, source: Path, out: Path) -> None:
    """What one writes first: open, convert, crop, resize, sharpen, save; for each output anew."""
    srgb = ImageCms.createProfile("sRGB")

    def opened() -> Image.Image:
        image = Image.open(source)
        image.load()
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(
            image, embedded, srgb, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
        assert converted is not None
        return converted

    def saved(image: Image.Image, name: str) -> None:
        image.save(out / name, quality=QUALITY, subsampling=0, dpi=(300, 300))

    def print_of(name: str) -> Image.Image:
        left, top, width, height, out_width, out_height = SHEETS[name]
        region = opened().crop((left, top, left + width, top + height))
        return region.resize((out_width, out_height), Image.Resampling.LANCZOS)

    if task == "a":
        saved(print_of("8x10").filter(ImageFilter.UnsharpMask(1, 80, 2)), "0.jpg")
    elif task == "b":
        saved(print_of("8x10"), "8x10.jpg")
        saved(print_of("5x7"), "5x7.jpg")
        wallet = print_of("wallet")
        sheet = Image.new("RGB", (2400, 3000), "white")
        for row in range(2):
            for column in range(3):
                sheet.paste(wallet.transpose(Image.Transpose.ROTATE_90), (75 + 750 * column, 75 + 1050 * row))
        for column in range(2):
            sheet.paste(wallet, (150 + 1050 * column, 2175))
        saved(sheet, "wallets.jpg")
        web = opened()
        web.thumbnail((WEB_PX, WEB_PX), Image.Resampling.LANCZOS)
        saved(web, "web.jpg")
    else:
        proof = opened()
        proof.thumbnail((PROOF_PX, PROOF_PX), Image.Resampling.LANCZOS)
        saved(proof, "0.jpg")


def work_imagemagick(task: str, source: Path, out: Path) -> None:
    convert = shutil.which("convert-im6.q16") or shutil.which("magick")
    assert convert, "ImageMagick is missing: apt-get install imagemagick"
    profile = ["-profile", str(source.parent / "srgb.icc")]
    save = ["-sampling-factor", "4:4:4", "-quality", str(QUALITY)]

    def run(*arguments: str) -> None:
        subprocess.run([convert, *arguments], check=True)

    def print_of(name: str, *more: str) -> list[str]:
        left, top, width, height, out_width, out_height = SHEETS[name]
        crop = f"{width}x{height}+{left}+{top}"
        return [str(source), "-crop", crop, "+repage", "-resize", f"{out_width}x{out_height}!", *profile, *more]

    if task == "a":
        run(*print_of("8x10", "-unsharp", "0x1+0.8+0.008"), *save, str(out / "0.jpg"))
    elif task == "b":
        run(*print_of("8x10"), *save, str(out / "8x10.jpg"))
        run(*print_of("5x7"), *save, str(out / "5x7.jpg"))
        placed = []
        for row in range(2):
            for column in range(3):
                placed += [
                    "(",
                    "mpr:w",
                    "-rotate",
                    "-90",
                    ")",
                    "-geometry",
                    f"+{75 + 750 * column}+{75 + 1050 * row}",
                    "-composite",
                ]
        for column in range(2):
            placed += ["mpr:w", "-geometry", f"+{150 + 1050 * column}+2175", "-composite"]
        run(
            *print_of("wallet"),
            "-write",
            "mpr:w",
            "+delete",
            "-size",
            "2400x3000",
            "xc:white",
            *placed,
            *save,
            str(out / "wallets.jpg"),
        )
        run(
            "-define",
            f"jpeg:size={2 * WEB_PX}x",
            str(source),
            "-resize",
            str(WEB_PX),
            *profile,
            *save,
            str(out / "web.jpg"),
        )
    else:
        run(
            "-define",
            f"jpeg:size={2 * PROOF_PX}x",
            str(source),
            "-resize",
            str(PROOF_PX),
            *profile,
            *save,
            str(out / "0.jpg"),
        )


# -- measuring --------------------------------------------------------------------------------------------------


def child(peer: str, task: str, photos: Path, out: Path, count: int) -> None:
    if task == "d":
        from tests.benchmarks import bench_render  # by the name under which the workers find it

        bench_render.orders_per_minute(photos, out, count)
        return
    work = globals()[f"work_{peer.removesuffix('-simd')}"]
    if count == 0 and peer.startswith("ours"):  # start-up: what is imported once
        import tests.studio  # noqa: F401
    if count == 0 and peer == "pyvips":
        import pyvips  # noqa: F401
    for number in range(count):
        folder = out / str(number)
        folder.mkdir(parents=True)
        work(task, photos / f"{number % DISTINCT}.jpg", folder)
    if peer != "imagemagick":  # whose work is in children of its own
        peak_kb = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        (photos.parent / "peak").write_text(peak_kb.split()[1])


def measured(peer: str, task: str, photos: Path, out: Path, count: int) -> tuple[float, float, float]:
    """(CPU seconds, wall seconds, peak MB) of a peer's process and its children."""
    arguments = ["--child", peer, task, str(photos), str(out), str(count)]
    began = time.perf_counter()
    python = SIMD_PYTHON if peer == "ours-simd" else sys.executable
    process = subprocess.Popen([python, __file__, *arguments], env={**os.environ, "VIPS_CONCURRENCY": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = status
    if status:
        raise SystemExit(f"{peer} failed at {task}")
    peak = photos.parent / "peak"
    peak_mb = int(peak.read_text()) / 1024 if peak.exists() else 0.0
    peak.unlink(missing_ok=True)
    return usage.ru_utime + usage.ru_stime, wall_s, peak_mb


def per_minute(peer: str, photos: Path, out: Path, workers: int) -> float:
    """Task d: orders a minute with so many processes."""
    if peer.startswith("ours"):
        python = SIMD_PYTHON if peer == "ours-simd" else sys.executable
        arguments = [python, __file__, "--child", peer, "d", str(photos), str(out), str(workers)]
        return float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()[-1])
    share = ORDERS_D // workers
    start_s = measured(peer, "b", photos, out / "start", 0)[1]
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--child", peer, "b", str(photos), str(out / str(number)), str(share)],
            env={**os.environ, "VIPS_CONCURRENCY": "1"},
        )
        for number in range(workers)
    ]
    if any(process.wait() for process in processes):
        raise SystemExit(f"{peer} failed at d")
    return round(60 * share * workers / (time.perf_counter() - began - start_s), 1)


def delta_e(first: Path, second: Path) -> float:
    """Mean ΔE*ab of two pictures, at the size of the second."""
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    sides = []
    with Image.open(second) as reference:
        size = (reference.width // 4, reference.height // 4)
    for path in (first, second):
        with Image.open(path) as image:
            small = image.convert("RGB").resize(size, Image.Resampling.BOX)
        converted = ImageCms.profileToProfile(small, srgb, lab, outputMode="LAB")
        assert converted is not None
        sides.append(converted)
    lightness, a, b = (
        ImageStat.Stat(ImageChops.difference(*channel)).mean[0]
        for channel in zip(sides[0].split(), sides[1].split(), strict=True)
    )
    return float(((lightness * 100 / 255) ** 2 + a**2 + b**2) ** 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=5)
    options = parser.parse_args()
    if options.child:
        peer, task, photos, out, count = options.child
        child(peer, task, Path(photos), Path(out), int(count))
        return
    base = Path(tempfile.mkdtemp(prefix="bench-render-", dir="data" if Path("data").is_dir() else None))
    photos = base / "photos"
    photos.mkdir()
    make_photos(photos)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for task, count in PHOTOS.items():
        figures[task] = {}
        for peer in QUICK.split(",") if QUICK else PEERS:
            start_cpu, start_wall, _ = measured(peer, task, photos, base / f"{peer}-{task}-start", 0)
            cpu, wall, peak = measured(peer, task, photos, base / f"{peer}-{task}", count)
            row = {
                "cpu_s": round((cpu - start_cpu) / count, 4),
                "wall_s": round((wall - start_wall) / count, 4),
                "peak_mb": round(peak),
            }
            worst = 0.0
            for mine, name in OUTPUTS[task].items():
                theirs = base / f"{peer}-{task}" / "0" / (mine if peer.startswith("ours") else name)
                worst = max(worst, delta_e(theirs, base / f"ours-{task}" / "0" / mine))
            row["delta_e"] = round(worst, 2)
            figures[task][peer] = row
    speed: dict[str, dict[str, float]] = {
        peer: {
            f"workers_{workers}": per_minute(peer, photos, base / f"{peer}-d-{workers}", workers) for workers in (1, 2)
        }
        for peer in (QUICK.split(",") if QUICK else PEERS)
    }
    shutil.rmtree(base)
    print(f"{'task':4} {'peer':12} {'CPU s/photo':>12} {'wall s/photo':>13} {'peak MB':>8} {'ΔE to ours':>11}")
    for task, rows in figures.items():
        for peer, row in rows.items():
            print(
                f"{task:4} {peer:12} {row['cpu_s']:12.3f} {row['wall_s']:13.3f} {row['peak_mb']:8.0f} "
                f"{row['delta_e']:11.2f}"
            )
    for peer, row in speed.items():
        print(f"d    {peer:12} orders a minute: {row['workers_1']:.1f} with 1 worker, {row['workers_2']:.1f} with 2")
    ratios = {
        ours: {task: round(rows[ours]["cpu_s"] / rows["pyvips"]["cpu_s"], 2) for task, rows in figures.items()}
        for ours in ("ours", "ours-simd")
        if ours in figures["a"]
    }
    for ours, row in ratios.items():
        print(f"CPU seconds of {ours} over pyvips's: " + ", ".join(f"{task} {value}" for task, value in row.items()))
    ratio = ratios.get("ours-simd", ratios["ours"])
    goals = {
        "b_at_most_0.6_x_pyvips": ratio["b"] <= 0.6,
        "c_at_most_1.0_x_pyvips": ratio["c"] <= 1.0,
        "a_at_most_1.2_x_pyvips": ratio["a"] <= 1.2,
        "outputs_alike": all(row["delta_e"] <= DELTA_E for rows in figures.values() for row in rows.values()),
    }
    print(
        json.dumps(
            {
                "figures": figures,
                "orders_per_minute": speed,
                "ratio_to_pyvips": ratios,
                "goals": goals,
                "met": all(goals.values()),
            }
        )
    )


if __name__ == "__main__":
    main()
