"""``bench run`` as a user meets it: exit codes, sentences, resume, tables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cells import comparable
from commands import Bench
from csv_files import read_csv

from bench.cli.run import _warnings

GRID = ("--dataset", "tiny", "--methods", "halves+nearest,halves+dice,alone", "--budget", "smoke")


def one_sentence(text: str) -> str:
    """The error line; fails where there is none, more than one, or a traceback."""
    lines = [line for line in text.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def cells(folder: Path) -> list[dict[str, str]]:
    return read_csv(folder / "bench-results/tables/tiny/cells.csv")


def test_the_main_job_leaves_tables_and_resumes(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    done = bench("run", *GRID, "--plugins", tiny)
    assert done.returncode == 0, done.stderr
    here = tmp_path / "here"
    assert [row["status"] for row in cells(here)] == ["ok"] * 3
    assert all(row["synthetic"] == "true" for row in cells(here))
    before = {
        path.name: path.read_bytes() for path in (here / "bench-results/tables/tiny").iterdir()
    }
    assert set(before) == {"cells.csv", "summary.csv", "table.tex", "table.md"}
    again = bench("run", *GRID, "--plugins", tiny)
    assert again.returncode == 0
    assert "3 cells, 3 finished already" in again.stderr
    after = {
        path.name: path.read_bytes() for path in (here / "bench-results/tables/tiny").iterdir()
    }
    assert after == before


def test_tables_from_copied_records_alone_are_the_same_bytes(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
) -> None:
    bench("run", *GRID, "--plugins", tiny)
    results = tmp_path / "here" / "bench-results"
    for record in results.glob("runs/*/record.json"):
        target = tmp_path / "copy" / "runs" / record.parent.name
        target.mkdir(parents=True)
        shutil.copy(record, target)
    done = bench("tables", "--results", tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    for path in (results / "tables/tiny").iterdir():
        assert (tmp_path / "copy/tables/tiny" / path.name).read_bytes() == path.read_bytes()


def test_another_convention_is_one_option_away(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    bench("run", *GRID, "--plugins", tiny)
    done = bench("tables", "--convention", "mulan", "--out", "mulan")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "here/mulan/tiny/table.md").read_text()
    assert "mulan convention" in text
    assert one_sentence(bench("tables", "--convention", "weka").stderr).startswith("bench: ")


def test_a_failed_cell_is_named_and_the_exit_code_is_1(
    bench: Bench,
    tiny: Path,
    broken: Path,
    tmp_path: Path,
) -> None:
    files = ("--plugins", tiny, "--plugins", broken)
    done = bench("run", "--dataset", "tiny", "--methods", "halves+raises,halves+nearest", *files)
    assert done.returncode == 1
    assert "error: halves+raises (official): raises failed in fit: RuntimeError" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["status"] for row in cells(tmp_path / "here")] == ["ok", "error"]
    skipped = bench("run", "--dataset", "tiny", "--methods", "halves+absent", *files)
    assert skipped.returncode == 1  # there is no result at all
    assert "skipped: halves+absent" in skipped.stderr
    some = bench("run", "--dataset", "tiny", "--methods", "halves+absent,halves+nearest", *files)
    assert some.returncode == 0, some.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "tini", "--methods", "alone"), "unknown dataset 'tini': did you mean tiny"),
        (("--dataset", "tiny", "--methods", "halvs+nearest"), "did you mean halves"),
        (("--dataset", "tiny", "--methods", "halves+mlknn[kk=3]"), "did you mean k"),
        (("--dataset", "tiny", "--methods", "halves+mlknn[k=0]"), "int >= 1"),
        (("--dataset", "tiny", "--methods", "alone", "--protocol", "oficial"), "official"),
        (
            ("--dataset", "tiny", "--methods", "alone", "--seeds", "0"),
            "--seeds 0: expected int >= 1",
        ),
        (
            ("--dataset", "tiny", "--methods", "alone", "--seeds", "100000"),
            "--seeds 100000: expected int <= 1000",
        ),
        (
            ("--dataset", "tiny", "--methods", "alone", "--workers", "0"),
            "--workers 0: expected int",
        ),
        (("--dataset", "tiny", "--methods", "alone", "--timeout", "soon"), "90s, 30m or 2h"),
        (("--dataset", "tiny", "--methods", "alone", "--root", "."), "leave --root out"),
        (("--dataset", "raf-ml", "--methods", "all"), "--root DIR, or set BENCH_DATA"),
        (("--dataset", "raf-ml", "--methods", "all", "--root", "gone"), "gone is no folder"),
        (("--methods", "all"), "--dataset is missing"),
        (("--dataset", "tiny", "--methods", "alone", "--plugins", "gone.py"), "no such file"),
        (("--dataset", "tiny", "--methods", "alone", "--config", "gone.toml"), "gone.toml"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_exit_code_2(
    bench: Bench,
    tiny: Path,
    words: tuple[str, ...],
    message: str,
) -> None:
    done = bench("run", *words, "--plugins", tiny)
    assert done.returncode == 2, done.stderr
    assert message in one_sentence(done.stderr)


def test_the_data_folder_of_the_environment_is_used(bench: Bench, tmp_path: Path) -> None:
    done = bench("run", "--dataset", "raf-ml", "--methods", "all", BENCH_DATA=str(tmp_path / "d"))
    assert done.returncode == 2
    assert str(tmp_path / "d" / "raf-ml") in one_sentence(done.stderr)


def test_a_run_file_gives_options_and_the_command_line_wins(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        'dataset = "tiny"\nmethods = "alone"\nplugins = ["tiny.py"]\nresults = "kept"\nseeds = 2\n'
    )
    done = bench("run", "--config", config, "--methods", "halves+dice")
    assert done.returncode == 0, done.stderr
    rows = read_csv(tmp_path / "kept/tables/tiny/cells.csv")
    assert [(row["classifier"], row["seed"]) for row in rows] == [("dice", "0"), ("dice", "1")]
    config.write_text('datasett = "tiny"\n')
    wrong = bench("run", "--config", config)
    assert wrong.returncode == 2
    assert "did you mean dataset" in one_sentence(wrong.stderr)
    config.write_text('seeds = "two"\n')
    assert "seeds two: expected int" in one_sentence(bench("run", "--config", config).stderr)


def test_a_dry_run_prints_the_plan_and_leaves_nothing(
    bench: Bench, tiny: Path, tmp_path: Path
) -> None:
    done = bench("run", *GRID, "--plugins", tiny, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "3 cells, 3 to measure" in done.stdout
    assert not (tmp_path / "here/bench-results").exists()
    bench("run", *GRID, "--plugins", tiny)
    done = bench("run", *GRID, "--plugins", tiny, "--dry-run")
    assert "3 cells, 0 to measure" in done.stdout


def test_a_results_folder_of_another_version_is_refused(
    bench: Bench, tiny: Path, tmp_path: Path
) -> None:
    bench("run", *GRID, "--plugins", tiny)
    about = tmp_path / "here/bench-results/bench.json"
    about.write_text(json.dumps({"schema": 99, "made_by": "9.9"}))
    for words in (("run", *GRID, "--plugins", tiny), ("tables",)):
        done = bench(*words)
        assert done.returncode == 2
        assert "written by bench 9.9" in one_sentence(done.stderr)


def test_a_plugin_with_a_syntax_error_names_its_line(
    bench: Bench, tiny: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "my_method.py"
    bad.write_text(
        "from bench.api import Classifier\n\nclass Mine(Classifier)\n    name = 'my-method'\n"
    )
    words = ("run", "--dataset", "tiny", "--plugins", tiny, "--plugins", bad, "--methods")
    done = bench(*words, "halves+my-method")
    assert done.returncode == 2
    assert "my_method.py:3" in one_sentence(done.stderr)
    fine = bench(*words, "halves+nearest")  # it stops nothing else
    assert fine.returncode == 0
    assert "left out, broken" in fine.stderr


def test_names_from_users_never_leave_the_results_folder(bench: Bench, tmp_path: Path) -> None:
    arff = "@relation x\n@attribute f numeric\n@attribute '{0}' {{0,1}}\n@data\n"
    rows = "\n".join(f"{number},{number % 2}" for number in range(20))
    data = tmp_path / "mulan"
    data.mkdir()
    label = "=1+1|$\\input{x}_&%<b>"
    (data / "odd.arff").write_text(arff.format(label.replace("\\", "\\\\")) + rows + "\n")
    quoted = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    (data / "odd.xml").write_text(f'<labels><label name="{quoted}"></label></labels>')
    words = ("--root", data, "--methods", "prior", "--protocol", "cv2")
    done = bench("run", "--dataset", "mulan:odd", *words)
    assert done.returncode == 0, done.stderr
    folders = list((tmp_path / "here/bench-results/tables").iterdir())
    assert len(folders) == 1
    for name in ("mulan:../odd", "mulan:/etc/passwd", "mulan:.."):
        wrong = bench("run", "--dataset", name, *words)
        assert wrong.returncode == 2, wrong.stderr
        one_sentence(wrong.stderr)


def test_two_runs_at_once_share_the_folder(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    words = ["run", "--dataset", "tiny", "--plugins", str(tiny)]
    command = [
        sys.executable,
        "-m",
        "bench",
        *words,
        "--methods",
        "halves+nearest[wait=1|0.5],alone",
    ]
    running = [
        subprocess.Popen(
            command, cwd=here, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    message = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], message
    assert sum("0 finished already" in text for text in message) == 1
    assert sum("3 finished already" in text for text in message) == 1
    assert len(cells(here)) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny tmpfs needs root")
def test_a_full_disk_stops_with_a_sentence_and_keeps_what_is_finished(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.strip()}")
    try:
        words = ("run", "--dataset", "tiny", "--plugins", tiny, "--results", small / "r")
        assert bench(*words, "--methods", "alone").returncode == 0
        (kept,) = (small / "r/runs").glob("*/record.json")
        before = kept.read_bytes()
        filler = os.open(small / "filler", os.O_WRONLY | os.O_CREAT)
        free = os.statvfs(small)
        assert os.write(filler, bytes(free.f_bavail * free.f_frsize)) > 0
        os.close(filler)
        refused = 0
        for room in (0, 4096, 8192, 24576):  # it runs full a step later each time
            os.truncate(small / "filler", (small / "filler").stat().st_size // 4096 * 4096 - room)
            done = bench(*words, "--methods", "alone,halves+nearest")
            assert kept.read_bytes() == before
            if done.returncode:
                assert done.returncode == 2, done.stderr
                assert "disk full" in one_sentence(done.stderr)
                refused += 1
        assert refused >= 3
        (small / "filler").unlink()
        done = bench(*words, "--methods", "alone,halves+nearest")
        assert done.returncode == 0, done.stderr
        assert "finished already" in done.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_no_permission_to_write_is_a_sentence(tiny: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    # Root ignores permissions: everything is imported as root, then run as nobody.
    code = (
        "import os, sys\n"
        "import bench.cli.progress, bench.publish.tables, bench.run.plan\n"
        "from bench.cli.main import main\n"
        "if os.geteuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["run", "--dataset", "synthetic", "--methods", "prior", "--results", str(closed / "r")]
    for folder in (closed.parent, *closed.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "cannot use the results folder" in one_sentence(done.stderr)
    assert "Permission denied" in done.stderr


def test_the_same_bytes_leaves_out_time_and_machine() -> None:
    header = "dataset,seconds_fit,peak_memory_mb,device,version,key\n"
    assert comparable(header + "d,1,2,cpu,0.1,k\n") == comparable(header + "d,3,4,cuda,0.2,k\n")


def test_long_training_is_announced(bench: Bench, tiny: Path) -> None:
    words = ("run", "--dataset", "tiny", "--methods", "net", "--plugins", tiny, "--workers", 1)
    done = bench(*words, "--budget", "paper")
    assert done.returncode == 0, done.stderr
    assert "training may take about 10 h at --budget paper" in done.stderr
    done = bench(*words, "--budget", "smoke")
    assert "training may take" not in done.stderr


def test_a_device_that_is_not_there_is_refused(bench: Bench) -> None:
    words = ("run", "--dataset", "synthetic[images=20]", "--budget", "smoke")
    done = bench(*words, "--methods", "resnet18", "--device", "cuda", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert done.stderr.count("\n") <= 2
    assert "--device cuda: " in done.stderr
    assert "Traceback" not in done.stderr
    done = bench(*words, "--methods", "resnet18", "--device", "tpu")
    assert "write cpu, cuda or cuda:N" in done.stderr
    # Methods that use no device run on any.
    done = bench(*words, "--methods", "prior", "--device", "cuda", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr


def test_cells_that_fail_for_one_reason_are_named_together(bench: Bench, broken: Path) -> None:
    words = ("run", "--dataset", "synthetic[images=40]", "--budget", "smoke", "--plugins", broken)
    methods = "lbp+absent, hog+absent, lbp[cell=20]+absent, lbp[cell=25]+absent, hog+raises"
    done = bench(*words, "--methods", methods)
    assert done.returncode == 1
    skipped = [
        line for line in done.stderr.splitlines() if "skipped: lbp+absent (official)" in line
    ]
    assert len(skipped) == 1
    assert "hog+absent (official)" in skipped[0]
    assert skipped[0].endswith("and 1 more: absent needs weights: give --weights PATH")
    assert "error: hog+raises (official): raises failed in fit" in done.stderr


def test_subjects_on_both_sides_are_warned_of(bench: Bench, tmp_path: Path) -> None:
    data = "synthetic-single[images=80,identities=5]"
    words = ("run", "--dataset", data, "--methods", "prior", "--protocol")
    done = bench(*words, "cv2")
    assert done.returncode == 0, done.stderr
    (matrix,) = tmp_path.glob("here/bench-results/tables/*/confusion.csv")
    assert sum(int(row["count"]) for row in read_csv(matrix)) == 80  # each tests once
    told = [line for line in done.stderr.splitlines() if "warning: " in line]
    assert len(told) == 1  # all folds say the same
    assert "warning: fold1, fold2: 5 of the 5 subjects in test are in train too" in told[0]
    assert "cvK-subject keeps them apart" in told[0]
    assert "warning: " in bench(*words, "cv4-blocks", "--dry-run").stderr
    assert "warning: " not in bench(*words, "cv4-subject").stderr
    tuned = ("run", "--dataset", data, "--methods", "lbp+linear-svm[C=1|2]", "--tune", "C")
    done = bench(*tuned, "--protocol", "cv5-subject", "--inner", "cv2", "--dry-run")
    assert "warning: fold1 inner fold1, fold1 inner fold2" in done.stderr


def test_many_folds_make_few_warnings() -> None:
    def job(number: int, note: str) -> SimpleNamespace:
        return SimpleNamespace(fold=SimpleNamespace(name=f"fold{number}", note=note))

    def plan(*jobs: SimpleNamespace) -> SimpleNamespace:
        return SimpleNamespace(jobs=jobs, contests=(), inner=lambda: plan())

    assert _warnings(plan(job(1, ""))) == []
    alike = [job(number, "n") for number in (1, 1, 2, 3, 4, 5)]
    assert _warnings(plan(*alike)) == ["warning: fold1, fold2, fold3 and 2 more: n"]
    different = [job(number, f"n{min(number, 5)}") for number in range(1, 8)]
    assert _warnings(plan(*different)) == [
        "warning: fold1: n1",
        "warning: fold2: n2",
        "warning: fold3: n3",
        "warning: 4 more folds: the like",
    ]
