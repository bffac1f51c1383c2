"""Published tables as records: what is stored of them, how they are joined, and what their traps leave in the notes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import effbench as eb
from effbench.errors import InputError
from effbench.records import CostFigure, ErrorFigure, Note, Published, SpeedFigure
from effbench.store import Store
from effbench.tables.importing import Imported, import_tables
from effbench.units import parse_cost

TABLES = Path(__file__).parent / "fixtures" / "tables"
RESULTS, INFERENCE = TABLES / "results.csv", TABLES / "inference.csv"
Write = Callable[..., Path]


@pytest.fixture(name="write")
def writing(tmp_path: Path) -> Write:
    """Writes a table of lines and returns its path."""

    def write(*lines: str, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(name="both", scope="module")
def both_tables() -> Imported:
    return import_tables([RESULTS, INFERENCE], on="arch,img_size", constants={"device": "GPU-1", "precision": "amp"})


def of(imported: Imported, name: str) -> Published:
    found = {record.name: record.published for record in imported.records}[name]
    assert found is not None
    return found


def notes(imported: Imported) -> Mapping[str, str]:
    return {f"{note.code} {note.subject}": note.text for note in imported.notes}


def refusal(*words: object, **more: object) -> str:
    with pytest.raises(InputError) as refused:
        import_tables(*words, **more)  # type: ignore[arg-type]
    return str(refused.value)


# What a row becomes


def test_a_row_of_two_known_tables_becomes_a_record(both: Imported) -> None:
    told = of(both, "stoat_50.v1@224")
    assert told.params == 25_560_000
    assert told.cost == CostFigure(4.11, "GMAC", "fvcore", "rounded to 0.01 GMAC; fvcore with attention unfused")
    assert parse_cost(told.cost.value, told.cost.unit) == 4_110_000_000
    assert told.errors == {
        "top1_err": ErrorFigure(23.870, "percent", n=50_000),
        "top5_err": ErrorFigure(7.138, "percent", n=50_000),
    }
    # One sample: 1 s / 4302.84; in a batch of 1,024 that is 237.982 ms, which the table has too.
    assert told.speed == SpeedFigure(1 / 4302.84, 1024, "GPU-1", "amp")
    assert told.speed.seconds * 1024 == pytest.approx(0.237982, abs=5e-7)
    assert told.conditions == {"img_size": 224, "crop_pct": 0.875, "interpolation": "bilinear"}


def test_the_source_names_files_lines_digests_and_mapping(both: Imported) -> None:
    source = of(both, "ibex_l.big_ft@384").source
    assert source is not None
    for path, line, target in ((RESULTS, 2, "top1_err:top1_err:percent"), (INFERENCE, 11, "infer_batch_size:batch")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"{path.name}, line {line}, sha256 {digest}, read as " in source
        assert target in source
    assert source.endswith("; device=GPU-1 was said at its import; precision=amp was said at its import")


def test_a_thousand_is_a_thousand(both: Imported) -> None:
    told = of(both, "ibex_xl.big_ft@384")
    assert told.params == 1_013_010_000
    assert told.cost is not None
    assert told.cost.value == 1906.76
    assert told.speed is not None
    assert told.speed.seconds == 1 / 1060.5


def test_many_weights_share_one_row_of_the_other_table(both: Imported) -> None:
    speeds = [of(both, f"marten_b.{tag}@224").speed for tag in ("a1", "a2")]
    assert speeds[0] == speeds[1] == SpeedFigure(1 / 2992.79, 768, "GPU-1", "amp")
    larger = of(both, "marten_b.a2@288").speed
    assert larger is not None
    assert larger.seconds == pytest.approx(1 / 1602.11, rel=1e-15)


def test_an_own_mapping_takes_what_it_names_and_nothing_else() -> None:
    mapping = "top1_err:error:percent,param_count:params:M,infer_gmacs:macs:G"
    told = of(import_tables([RESULTS, INFERENCE], mapping, "arch,img_size"), "stoat_18.v1@224")
    cost = CostFigure(1.82, "GMAC", "macs", "rounded to 0.01 GMAC")  # the plain convention, since none is said
    assert (told.params, told.cost, told.speed) == (11_690_000, cost, None)
    assert told.errors == {"error": ErrorFigure(30.242, "percent")}
    assert told.conditions == {}


@pytest.mark.parametrize(
    ("row", "mapping", "expected"),
    [
        # 8 samples in 20 ms are 2.5 ms each; 400 a second too.
        ("20,8", "a:latency:ms,b:batch", SpeedFigure(0.0025, 8)),
        ("0.02,8", "a:latency:s,b:batch", SpeedFigure(0.0025, 8)),
        ("400,8", "a:throughput:per_s,b:batch", SpeedFigure(0.0025, 8)),
        ("0.4,4", "a:throughput:per_ms,b:threads", SpeedFigure(0.0025, None, threads=4, note="x")),
        ("2500,bf16", "a:latency:us,b:precision", SpeedFigure(0.0025, 1, precision="bf16")),
    ],
)
def test_times_are_of_one_sample(write: Write, row: str, mapping: str, expected: SpeedFigure) -> None:
    constants = {"batch": "1"} if expected.batch == 1 else {}
    speed = of(import_tables([write("model,a,b", f"x,{row}")], mapping, constants=constants), "x").speed
    assert speed is not None
    assert speed.seconds == pytest.approx(expected.seconds, rel=1e-15)
    assert (speed.batch, speed.threads, speed.precision) == (expected.batch, expected.threads, expected.precision)


def test_a_paper_s_table_needs_no_layout(write: Write) -> None:
    table = write("Network;Size;Err;FLOPs", "a;1.234,5;6,86;1.800", "b;n/a;7,10;400", name="paper.csv")
    imported = import_tables([table], "Size:params:K,Err:pixel_error:pixels,FLOPs:flops:M", decimal=",")
    first, second = of(imported, "a"), of(imported, "b")
    assert first.params == 1_234_500
    assert first.errors == {"pixel_error": ErrorFigure(6.86, "pixels")}
    assert first.cost == CostFigure(1800.0, "MFLOP", "macs", "rounded to 1 MFLOP")
    assert second.params is None
    assert second.source is not None
    assert second.source.startswith("paper.csv, line 3, sha256 ")


# Joining


def test_what_did_not_join_is_counted_and_named(both: Imported, write: Write) -> None:
    assert notes(both)["not-used inference.csv"] == "1 of its 12 rows join none: otter@224"
    lines = INFERENCE.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("marten")]
    imported = import_tables([RESULTS, write(*kept)], on="arch,img_size")
    assert len(imported.records) == 12  # nothing is dropped
    assert of(imported, "marten_b.a1@224").speed is None
    assert of(imported, "marten_b.a1@224").cost is None
    told = notes(imported)["not-joined t.csv"]
    assert told.startswith("4 of 12 rows of results.csv join none of its by arch,img_size, and get nothing of it (")
    assert told.endswith("marten_b.a1@224, marten_b.a2@224, marten_b.a2@288 and 1 more")


@pytest.mark.parametrize("on", ["arch,img_size", "arch,img_size=infer_img_size", "arch=model,img_size"])
def test_a_key_is_a_column_what_it_means_or_the_name_before_its_dot(both: Imported, on: str) -> None:
    again = import_tables([RESULTS, INFERENCE], on=on, constants={"device": "GPU-1", "precision": "amp"})
    assert again.records == both.records


def test_a_number_joins_however_it_is_written(write: Write) -> None:
    first = write("model,size,err", "a,1024,5", "b,1024.0,6", name="a.csv")
    other = write("size,batch", '"1,024",8', name="b.csv")
    lines = other.read_text(encoding="utf-8").replace("size,batch", "name,size,n")
    other.write_text(lines.replace('"1,024",8', 'x,"1,024",8'), encoding="utf-8")
    imported = import_tables([first, other], "err:error:percent,n:params", "size")
    assert [of(imported, name).params for name in ("a", "b")] == [8, 8]


def test_tables_that_contradict_each_other_are_told_of(both: Imported) -> None:
    told = notes(both)["tables-differ params"]
    # 305.18 and 304.53 differ by more than the half hundredths that both were rounded by; 25.56 and 25.56 do not.
    assert told.startswith("2 models have figures that differ between tables by more than rounding; the worst: ibex_l.")
    assert of(both, "ibex_l.big@224").params == 305_180_000
    (record,) = [record for record in both.records if record.name == "ibex_l.big@224"]
    text = "305.18 M in results.csv; 304.53 M in inference.csv: the first is taken"
    assert record.notes == (Note("tables-differ", "params", text),)


@pytest.mark.parametrize(
    ("lines", "on", "told"),
    [
        (["arch,size,n", "a,1,5", "a,1,6"], "arch,size", "lines 2 and 3 have the same arch, size: a, 1: join by more"),
        (["arch,size,n", "a,1,5"], "", "several tables are joined by what they share"),
        (["arch,size,n", "a,1,5"], "arch,", "write KEY or KEY=KEY_OF_THE_OTHERS"),
        (["arch,size,n", "a,1,5"], "arch,siz", "unknown key of a.csv 'siz': did you mean size"),
        (["arch,bulk,n", "a,1,5"], "arch,size", "unknown key of b.csv 'size'"),
        (["arch,size,n", "b,1,5"], "arch,size", "b.csv: no row of it joins one of a.csv by the keys: 'a, 1' there"),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(write: Write, lines: list[str], on: str, told: str) -> None:
    paths = [write("model,size,err", "a.x,1,5", name="a.csv"), write(*lines, name="b.csv")]
    assert told in refusal(paths, "err:error:percent,n:params", on or None)


def test_keys_for_one_table_are_refused() -> None:
    assert "there is one table" in refusal([RESULTS], on="arch")


def test_one_table_of_each_machine(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(INFERENCE.read_bytes())
    told = refusal([RESULTS, INFERENCE, other], on="arch,img_size")
    assert "throughput would come from infer_samples_per_sec of inference.csv and " in told
    assert "a record has one published time: import once for each" in told


def test_two_times_of_one_table_are_imported_one_by_one(write: Write, tmp_path: Path) -> None:
    table = write("model,error,cpu_ms,gpu_ms", "a,30,20.0,2.0", "b,20,10.0,3.0")
    shared = "error:error:percent"
    told = refusal([table], f"{shared},cpu_ms:latency:ms,gpu_ms:latency:ms", constants={"batch": "1"})
    assert told.startswith(
        "latency would come from cpu_ms of t.csv and gpu_ms of t.csv, and a record has one published"
    )
    for device in ("cpu", "gpu"):  # as the message says
        constants = {"batch": "1", "device": device}
        import_tables([table], f"{shared},{device}_ms:latency:ms", constants=constants).save(tmp_path / f"zoo-{device}")
    records = [one for device in ("cpu", "gpu") for one in eb.read_folder(tmp_path / f"zoo-{device}").records]
    groups = eb.rank(records, score="latency", by="device").groups
    assert {group.label: [row.name for row in group.rows] for group in groups} == {
        "cpu": ["b (zoo-cpu)", "a (zoo-cpu)"],
        "gpu": ["a (zoo-gpu)", "b (zoo-gpu)"],
    }


# Traps


def test_a_cost_rounded_away_is_seen(both: Imported) -> None:
    tiny, small = of(both, "shrew.mini@160").cost, of(both, "vole_035.plain@160").cost
    assert tiny is not None
    assert small is not None
    assert (tiny.value, small.value) == (0.0, 0.04)
    assert tiny.note.startswith("rounded to 0.01 GMAC; written as 0: below 0.005 GMAC")
    # Half of 0.01 is an eighth of 0.04.
    assert "0.04 GMAC is known to ± 12 %" in small.note
    assert parse_cost(small.value, small.unit) == 40_000_000
    assert notes(both)["rounded-away macs"].endswith("a score of it would be 0: shrew.mini@160")
    # 0.005 of 0.04 and of 0.23 is more than 1 %, of 1.82 it is not.
    assert notes(both)["coarse-figure macs"].startswith("2 models have one that rounding leaves uncertain")
    # 0.005 of 0.09 and of 0.37.
    assert notes(both)["coarse-figure params"].startswith("2 models have one")


def test_what_was_rounded_is_kept_with_its_cell(both: Imported, write: Write) -> None:
    told = of(both, "vole_035.plain@160")
    digest = hashlib.sha256(INFERENCE.read_bytes()).hexdigest()[:12]
    assert {name: one.step for name, one in told.rounded.items()} == {
        "params": 10_000,  # 0.01 M
        "macs": 0.01,  # GMAC, as the cost is
        "throughput": 0.01,
        "top1_err": 0.001,
        "top5_err": 0.001,
    }
    assert re.fullmatch(rf"inference\.csv {digest}, line \d+, column infer_gmacs", told.rounded["macs"].cell)
    # 0.00 GMAC cannot be ranked, and a count to the last parameter was not rounded.
    assert "macs" not in of(both, "shrew.mini@160").rounded
    exact = import_tables([write("model,p,ms", "a,1000,4.5")], "p:params,ms:latency:ms", constants={"batch": "2"})
    # 0.1 ms of a batch of two is 50 µs of a sample.
    assert {name: one.step for name, one in of(exact, "a").rounded.items()} == {"latency": pytest.approx(50e-6)}


def test_what_rounding_may_turn_is_not_certain_in_a_leaderboard(write: Write, tmp_path: Path) -> None:
    table = write("model,params,gmacs", "a,1100000,0.05", "b,1000000,0.06", "c,1000000,4.06")
    import_tables([table], "params:params,gmacs:macs:G").save(tmp_path / "kept")
    ranking = eb.rank(eb.read_folder(tmp_path / "kept").records, score="params * macs")
    assert [(row.name, row.rank_low, row.rank_high) for row in ranking.rows] == [("a", 1, 2), ("b", 1, 2), ("c", 3, 3)]
    said = {note.code: note.text for note in ranking.notes}
    assert said["rounding"].endswith("at most macs ± 10 % of a")  # .005 of .05


def test_batch_sizes_are_counted(both: Imported) -> None:
    assert notes(both)["mixed-batches batch"].startswith("times were taken in 5 batch sizes, 64 to 1024")


def test_times_that_contradict_each_other_are_told_of(write: Write) -> None:
    mapping = "rate:throughput,ms:latency:ms,batch:batch"
    # 8 samples at 400 a second take 20 ms; 20.4 is 2 % off, 20.1 is not, and 1 ms may be 1.5 ms before rounding.
    table = write("model,rate,ms,batch", "a,400.0,20.4,8", "b,400.0,20.1,8")
    imported = import_tables([table], mapping, constants={"device": "d", "precision": "p"})
    assert notes(imported)["times-disagree speed"].startswith("1 model has two times that disagree by more than 1 %")
    speeds = [of(imported, name).speed for name in "ab"]
    assert [speed is not None and bool(speed.note) for speed in speeds] == [True, False]
    coarse = write("model,rate,ms,batch", "a,700,1,1")
    assert "times-disagree speed" not in notes(import_tables([coarse], mapping))


def test_a_known_layout_s_sample_count_stands_only_where_the_digits_agree(write: Write) -> None:
    head = "model,img_size,top1_err,top5_err,param_count"
    # 1,001, 2,003 and 3,007 of 50,000 are 2.002, 4.006 and 6.014 percent; of 10,000 shares have two decimals.
    full = write(head, "a,1,2.002,2.002,1", "b,1,4.006,4.006,1", "c,1,6.014,6.014,1", name="full.csv")
    part = write(head, "a,1,2.010,2.01,1", "b,1,4.030,4.03,1", "c,1,6.010,6.01,1", name="part.csv")
    other = write(head, "a,1,2.003,2.003,1", "b,1,4.007,4.007,1", "c,1,6.015,6.015,1", name="other.csv")
    found = {path.name: of(import_tables([path]), "a@1").errors["top1_err"].n for path in (full, part, other)}
    assert found == {"full.csv": 50_000, "part.csv": None, "other.csv": None}
    assert notes(import_tables([part]))["unstated-samples top1_err, top5_err"].startswith("of how many samples")
    assert of(import_tables([part], samples=10_000), "a@1").errors["top1_err"].n == 10_000


@given(
    st.lists(st.integers(0, 50_000), min_size=1, max_size=30).filter(lambda wrong: any(w % 2 and w % 5 for w in wrong))
)
def test_shares_of_fifty_thousand_are_always_known_as_such(
    tmp_path_factory: pytest.TempPathFactory, wrong: list[int]
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    rows = [f"m{place},1,{count / 500:.3f},{count / 500:.3f},1" for place, count in enumerate(wrong)]
    path.write_text("\n".join(["model,img_size,top1_err,top5_err,param_count", *rows]), encoding="utf-8")
    assert of(import_tables([path]), "m0@1").errors["top1_err"].n == 50_000


def test_a_fraction_called_percent_is_suspected(write: Write) -> None:
    imported = import_tables([write("model,e", "a,0.2", "b,0.31")], "e:error:percent")
    assert notes(imported)["suspect-unit error"] == "no figure is above 0.31 percent: is its unit fraction?"


def test_missing_cells_are_missing_figures(write: Write) -> None:
    imported = import_tables([write("model,p,e", "a,,5", "b,3,n/a", "c,4,6")], "p:params,e:error:percent")
    assert [of(imported, name).params for name in "abc"] == [None, 3, 4]
    assert [len(of(imported, name).errors) for name in "abc"] == [1, 0, 1]


@pytest.mark.parametrize(
    ("cell", "mapping", "told"),
    [
        ("about 5", "v:params:M", "t.csv, line 3, column v: 'about 5' is no number, and params needs one"),
        ("23,87", "v:error:percent", "'23,87' is no number, and error needs one: if \",\" separates its decimals"),
        ("120", "v:error:percent", "'120' is no error in percent: 0 to 100 is possible"),
        ("-1", "v:top1:percent", "'-1' is no top1 in percent"),
        ("5%", "v:error:fraction", "'5%' has a percent sign, and error is mapped as fraction"),
        ("-5", "v:params:M", "'-5' is no params: it must be 0 or more"),
        ("0", "v:throughput", "'0' is no throughput: it must be more than 0"),
        ("1.5", "v:batch,w:throughput", "'1.5' is no whole number of batch"),
        ("0.1234567", "v:params:M", "'0.1234567' M is no whole number of params: check its unit"),
        ("0.12345678", "v:macs:M", "'0.12345678' M is no whole number of macs"),
    ],
)
def test_a_cell_that_cannot_be_is_named(write: Write, cell: str, mapping: str, told: str) -> None:
    assert told in refusal([write("model,v,w", "a,1,1", f'b,"{cell}",1')], mapping)


@pytest.mark.parametrize(
    ("mapping", "more", "told"),
    [
        ("x:error:percent", {}, "unknown column 'x'"),
        ("valu:error:percent", {}, "unknown column 'valu': did you mean value"),
        ("", {}, "t.csv: its header is of no known layout: give --map COLUMN:FIELD[:UNIT],…; its columns are model, "),
        ("value:error:percent,value:error:percent", {}, "--map says the same of a column twice"),
        ("value:error:percent,other:error:percent", {}, "error would come from value of t.csv and other of t.csv"),
        ("value:macs:M,other:flops:M", {}, "both macs and flops are mapped"),
        ("value:latency:ms", {}, "latency is of a whole batch: say its size"),
        ("value:batch", {}, "batch belongs to a time"),
        ("value:params", {"device": "d"}, "device belongs to a time"),
        ("value:error:percent", {"params": "5"}, "params is each model's own"),
        ("value:throughput,other:batch", {"batch": "1"}, "a column is mapped to batch already"),
        ("value:throughput", {"batch": "1.5"}, "give a whole number from 1 up"),
        ("value:name", {}, "nothing is mapped but names"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    write: Write, mapping: str, more: Mapping[str, str], told: str
) -> None:
    assert told in refusal([write("model,value,other", "a,1,2")], mapping, constants=more)


def test_rows_that_share_a_name_are_refused(write: Write) -> None:
    table = write("model,size,e", "a,1,5", "b,1,6", "a,2,7")
    told = refusal([table], "e:error:percent")
    assert "t.csv: lines 2, 4 are all 'a'" in told
    imported = import_tables([table], "model:name,size:name,e:error:percent")
    assert [record.name for record in imported.records] == ["a@1", "b@1", "a@2"]


def test_a_row_needs_a_name(write: Write) -> None:
    assert "t.csv, line 2, column model: '' is no name" in refusal([write("model,e", ",5")], "e:error:percent")
    assert "which column names the model?" in refusal([write("id,e", "1,5")], "e:error:percent")


def test_what_is_not_mapped_and_not_stated_is_told(both: Imported) -> None:
    told = notes(import_tables([RESULTS, INFERENCE], on="arch,img_size"))
    assert told["not-read results.csv"] == "columns that were not mapped: top1, top5"
    assert told["not-read inference.csv"] == "columns that were not mapped: infer_macts"
    assert told["convention fvcore"] == "costs were counted by fvcore: rank them with --convention fvcore"
    assert "the device of the times is not stated" in told["unstated device"]
    assert "unstated device" not in notes(both)


# Kept


def test_importing_again_replaces_and_duplicates_nothing(tmp_path: Path, both: Imported) -> None:
    for imported in (import_tables([RESULTS]), both, both):
        paths = imported.save(tmp_path)
        assert len(set(paths)) == 12
    found, skipped = Store(tmp_path).load()
    assert skipped == ()
    assert sorted((one.record.name, one.record.published) for one in found) == sorted(
        (record.name, record.published) for record in both.records
    )
    assert {one.record.name: one.record.notes for one in found} == {one.name: one.notes for one in both.records}


def test_a_folder_that_cannot_take_all_takes_none(tmp_path: Path, both: Imported) -> None:
    foreign = tmp_path / "vole_100.plain_224.json"
    foreign.write_text(json.dumps({"mine": 1}), encoding="utf-8")
    with pytest.raises(InputError, match=r"vole_100\.plain_224\.json"):
        both.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".json"] == [foreign.name]
