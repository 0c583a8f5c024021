"""Scores a folder of WAVs; scripts/quality-score says how and installs what this needs."""

import json
import os
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from math import gcd
from pathlib import Path

# One thread a process; there is a process for each core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
from scipy.signal import resample_poly

MODEL_HZ = 16_000
VISQOL_HZ = 16_000


def load(path, rate_hz=MODEL_HZ):
    samples, rate = soundfile.read(path)
    common = gcd(rate, rate_hz)
    if rate != rate_hz:
        samples = resample_poly(samples, rate_hz // common, rate // common)
    return np.clip(samples, -1, 1)


def plcmos(path):
    from speechmos import plcmos as model

    # The model draws listeners at random; the same ones for every file.
    np.random.seed(0)
    return model.run(load(path), sr=MODEL_HZ)["plcmos"]


def visqol(pair):
    """Speech mode with the polynomial map: 1 to 5 like PLCMOS, by likeness to the reference."""
    from visqol import VisqolApi

    global ears
    if "ears" not in globals():
        ears = VisqolApi()
        ears.create(mode="speech", use_lattice_model=False)
    reference, degraded = (load(path, VISQOL_HZ) for path in pair)
    return float(ears.measure_from_arrays(reference, degraded, sample_rate=VISQOL_HZ).moslqo)


def summary(scores):
    """scores: way -> clip -> one score a seed. Seeds of one clip are no independent clips."""
    result = {}
    for way, clips in scores.items():
        means = [float(np.mean(values)) for values in clips.values()]
        error = np.std(means, ddof=1) / len(means) ** 0.5 if len(means) > 1 else 0.0
        result[way] = {
            "mean": round(float(np.mean(means)), 4),
            "standard_error": round(float(error), 4),
            "clips": len(means),
        }
    return result


def score_ways(folder, with_visqol):
    files = sorted(folder.glob("*.wav"))
    jobs = []
    for file in files:
        parts = file.name.split(".")
        if len(parts) == 3:
            jobs.append((parts[0], parts[1], file))
        elif len(parts) == 4:
            jobs.append((parts[0], parts[2], file))
    if not jobs:
        sys.exit(f"quality-score: no CLIP.SEED.WAY.wav in {folder}")
    missing = []
    with ProcessPoolExecutor() as pool:
        marks = defaultdict(lambda: defaultdict(list))
        for (clip, way, _), score in zip(jobs, pool.map(plcmos, [job[2] for job in jobs])):
            marks[way][clip].append(score)
        likeness = defaultdict(lambda: defaultdict(list))
        pairs = [
            (clip, way, (folder / f"{clip}.reference.wav", file))
            for clip, way, file in jobs
            if with_visqol and way != "reference" and (folder / f"{clip}.reference.wav").exists()
        ]
        try:
            for (clip, way, _), score in zip(pairs, pool.map(visqol, [pair[2] for pair in pairs])):
                likeness[way][clip].append(score)
        except Exception as error:
            likeness.clear()
            missing.append(f"ViSQOL: {error}")
    if not with_visqol:
        missing.append("ViSQOL: not asked for")
    result = {"plcmos": summary(marks), "visqol": summary(likeness), "missing": missing}
    print(f"{'way':<12}{'PLCMOS':>16}{'ViSQOL':>16}{'clips':>8}")
    for way, mark in sorted(result["plcmos"].items(), key=lambda item: -item[1]["mean"]):
        like = result["visqol"].get(way)
        shown = f"{like['mean']:.2f} +- {like['standard_error']:.2f}" if like else ""
        print(f"{way:<12}{mark['mean']:>8.2f} +- {mark['standard_error']:.2f}{shown:>16}{mark['clips']:>8}")
    print(json.dumps(result))


def score_echo(folder):
    from speechmos import aecmos

    result = {}
    print(f"{'talk':<28}{'echo':>8}{'other':>8}   (1 to 5; other: what else was done to the sound)")
    for out in sorted(folder.glob("*.out.wav")):
        name = out.name.removesuffix(".out.wav")
        kind = {"far-end": "st", "near-end": "nst"}.get(name.rsplit(".", 1)[-1], "dt")
        files = {"lpb": "far", "mic": "mic", "enh": "out"}
        sounds = {key: load(folder / f"{name}.{file}.wav") for key, file in files.items()}
        length = min(map(len, sounds.values()))
        sounds = {key: sound[:length] for key, sound in sounds.items()}
        score = aecmos.run(sounds, sr=MODEL_HZ, talk_type=kind)
        result[name] = {"echo": round(score["echo_mos"], 3), "other": round(score["deg_mos"], 3)}
        print(f"{name:<28}{result[name]['echo']:>8.2f}{result[name]['other']:>8.2f}")
    if not result:
        sys.exit(f"quality-score: no NAME.out.wav in {folder}")
    print(json.dumps({"aecmos": result}))


if __name__ == "__main__":
    if sys.argv[1] == "--echo":
        score_echo(Path(sys.argv[2]))
    else:
        score_ways(Path(sys.argv[-1]), with_visqol=sys.argv[1] != "--plcmos")
