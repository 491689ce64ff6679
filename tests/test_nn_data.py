"""Tables, data sets, and what is done to rows before training."""

from __future__ import annotations

import io
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value
from nn.data import rows as data
from nn.data.examples import Examples
from nn.data.rows import DataError, Standardizer, load_csv, make_circles, make_moons, mini_batches, one_hot, train_test_split
from nn.data.tables import Cells

MASKED = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, False], [True, False]])
HEART = """Age,Sex,ChestPain,RestBP,Chol,Fbs,RestECG,MaxHR,ExAng,Oldpeak,Slope,Ca,Thal,AHD
63,1,typical,145,233,1,2,150,0,2.3,3,0.0,fixed,No
67,1,asymptomatic,160,286,0,2,108,1,1.5,2,3.0,normal,Yes
67,1,asymptomatic,120,229,0,2,129,1,2.6,2,2.0,reversable,Yes
37,1,nonanginal,130,250,0,0,187,0,3.5,3,0.0,normal,No
41,0,nontypical,130,204,0,2,172,0,1.4,1,0.0,normal,No
"""


def table(text: str, **options: object) -> data.Dataset:
    return load_csv(io.StringIO(text), **options)  # type: ignore[arg-type]


class TestHeart:
    def test_one_hot(self) -> None:
        heart = table(HEART)
        assert heart.feature_names == (
            "Age", "Sex", "ChestPain=asymptomatic", "ChestPain=nonanginal", "ChestPain=nontypical", "ChestPain=typical",
            "RestBP", "Chol", "Fbs", "RestECG", "MaxHR", "ExAng", "Oldpeak", "Slope", "Ca",
            "Thal=fixed", "Thal=normal", "Thal=reversable")
        assert heart.X[0].tolist() == [63, 1, 0, 0, 0, 1, 145, 233, 1, 2, 150, 0, 2.3, 3, 0, 1, 0, 0]
        assert (heart.target_name, heart.classes, heart.y.tolist()) == ("AHD", ("No", "Yes"), [0, 1, 1, 0, 0])
        assert heart.y.dtype.kind == "i" and heart.X.shape == (5, 18) and heart.missing == {}
        assert repr(heart) == "Dataset(5 rows, 18 features, AHD: No, Yes)"

    def test_ordinal(self) -> None:
        heart = table(HEART, categorical="ordinal", categories={"Thal": ["normal", "fixed", "reversable"]})
        assert heart.feature_names == tuple(HEART.split("\n", maxsplit=1)[0].split(",")[:-1])
        assert heart.X[:, 2].tolist() == [3, 0, 0, 1, 2]
        assert heart.X[:, 12].tolist() == [1, 0, 2, 0, 0]

    def test_another_target(self) -> None:
        heart = table(HEART, target="Chol", ignore=["AHD", "Thal"])
        assert heart.y.tolist() == [233, 286, 229, 250, 204] and heart.classes == ()
        assert "AHD=Yes" not in heart.feature_names and len(heart.feature_names) == 14
        assert repr(heart).endswith("Chol: a number)")

    def test_as_the_book_has_it_with_row_names_and_missing_cells(self) -> None:
        lines = HEART.replace("reversable", "NA").split("\n")
        text = '"",' + "\n".join([lines[0], *(f'"{i}",{line}' for i, line in enumerate(lines[1:-1], 1))])
        with pytest.raises(DataError, match=r"the table, line 4, column 'Thal': the value is missing \('NA'\)"):
            table(text)
        dropped, filled = table(text, missing="drop"), table(text, missing="mean")
        assert dropped.missing == filled.missing == {"Thal": 1}
        assert len(dropped) == 4 and len(filled) == 5
        assert filled.X[2, -1] == 1 and filled.feature_names[-1] == "Thal=normal"      # the most frequent

    def test_a_number_as_classes(self) -> None:
        heart = table(HEART, target="Slope", categories={"Slope": ()})
        assert (heart.classes, heart.y.tolist()) == (("1", "2", "3"), [2, 1, 1, 2, 0])


@pytest.mark.parametrize("text", ["a;b\n1;2\n", "a\tb\n1\t2\n", "\ufeffa,b\r\n1,2\r\n", ' a , b \n 1 , "2"\n\n', "a,b\n1,2",
                                  '"a";"b"\n"1";"2"\n'])
def test_files_as_they_come(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    for source in (tmp_path / "t.csv", str(tmp_path / "t.csv"), io.StringIO(text)):
        found = load_csv(source)
        assert (found.X.tolist(), found.y.tolist(), found.feature_names) == ([[1.0]], [2.0], ("a",))


def test_delimiters_inside_quotes() -> None:
    assert table('"a, b, c";y\n1;2\n').feature_names == ("a, b, c",)


@pytest.mark.parametrize("cell", ["", "NA", "?", "N/A", "NaN", "nan", "  "])
def test_what_counts_as_missing(cell: str) -> None:
    text = f"a,b,y\n1,{cell},0\n3,u,1\n5,u,1\n"
    with pytest.raises(DataError, match="line 2, column 'b'"):
        table(text)
    assert table(text, missing="drop").X.tolist() == [[3, 1], [5, 1]]
    assert table(text, missing="mean").X.tolist() == [[1, 1], [3, 1], [5, 1]]
    assert table(f"a,y\n1,0\n{cell or '?'},1\n4,1\n", missing="mean").X.tolist() == [[1], [2.5], [4]]


@pytest.mark.parametrize(("text", "options", "says"), [
    ("a,b,y\n1,2,0\n1,2\n", {}, ["the table, line 3", "2 cells", "header has 3"]),
    ("a,b,y\n1,2,0,4\n", {}, ["line 2", "4 cells"]),
    ("a,a,y\n1,2,0\n", {}, ["line 1", "'a' stands twice"]),
    ("a,,y\n1,2,0\n", {}, ["line 1", "column 2 has no name"]),
    ("a,y\n1,0\n", {"target": "z"}, ["no column 'z'", "'a', 'y'"]),
    ("a,y\n1,0\n", {"ignore": ["z"]}, ["no column 'z'"]),
    ("a,y\n1,0\n", {"categories": {"z": ()}}, ["no column 'z'"]),
    ("a,y\n1,0\n", {"ignore": ["y"], "target": "y"}, ["'y' is the target"]),
    ("y\n1\n", {}, ["no column is left", "'y'"]),
    ("a,y\n", {}, ["no rows"]),
    ("", {}, ["empty"]),
    ("a,y\n1,0\n2,0\noops,1\n", {}, ["line 4, column 'a'", "'oops'", "holds categories"]),
    ("a,y\n1,0\n1e999,1\n", {}, ["line 3, column 'a'", "'1e999'", "finite"]),
    ("a,y\n1,0\n-inf,1\n", {"missing": "mean"}, ["line 3", "finite"]),
    ("a,y\n?,0\nNA,1\n", {"missing": "mean"}, ["'a' holds nothing"]),
    ("a,y\n?,0\n1,\n", {"missing": "drop"}, ["every row has a missing cell"]),
    ("a,y\n1,0\n1,\n", {"missing": "mean"}, ["line 3, column 'y'", "missing"]),
    ("a,y\nu,0\nv,1\n", {"categories": {"a": ["u"]}}, ["line 3, column 'a'", "'v'", "none of its categories 'u'"]),
    ("a,y\n" + "".join(f"name{i},0\n" for i in range(20)), {}, ["'a' holds 20 different words in 20 rows", "ignore it"]),
    ('a,y\n"1,2\n', {}, ["the table: "]),
])
def test_tables_that_are_refused(text: str, options: dict[str, object], says: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        table(text, **options)
    for part in says:
        assert part in str(caught.value)


def test_options_that_do_not_exist() -> None:
    for option in ({"categorical": "hash"}, {"missing": "ignore"}):
        with pytest.raises(ValueError, match="is none of"):
            table("a,y\n1,0\n", **option)


def test_a_missing_and_a_binary_file_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    for name in ("missing.csv", "binary.csv", ""):
        with pytest.raises(DataError, match=str(tmp_path)):
            load_csv(tmp_path / name)


def test_columns_read_another_file() -> None:
    """What was learned from one file encodes the next, whatever it holds and in whatever order its columns stand."""
    columns = table(HEART).columns
    other = Cells.read(io.StringIO("Thal," + HEART.split("\n", maxsplit=1)[0].replace(",Thal,AHD", "")
                                        + "\nnormal,63,1,typical,145,233,1,2,150,0,2.3,3,0.0\n"))
    assert other.encode(columns).tolist() == [[63, 1, 0, 0, 0, 1, 145, 233, 1, 2, 150, 0, 2.3, 3, 0, 0, 1, 0]]
    with pytest.raises(DataError, match="no column 'Sex'"):
        other.without(["Sex"]).encode(columns)


class TestSets:
    @pytest.mark.parametrize(("name", "shape", "classes"), [("iris", (150, 4), 3), ("digits", (1797, 64), 10),
                                                            ("cancer", (569, 30), 2), ("wine", (178, 13), 3),
                                                            ("diabetes", (442, 10), 0)])
    def test_from_scikit_learn(self, name: str, shape: tuple[int, int], classes: int) -> None:
        pytest.importorskip("sklearn")
        found = data.DATASETS[name]()
        assert found.X.shape == shape and len(found.feature_names) == shape[1] and len(found.classes) == classes
        assert set(found.y.tolist()) == set(range(classes)) or not classes
        assert [feature for column in found.columns for feature in column.features] == list(found.feature_names)

    def test_without_scikit_learn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
        for load in data.DATASETS.values():
            with pytest.raises(ImportError, match=r"xigrad\[data\]"):
                load()

    @pytest.mark.parametrize("make", [make_moons, make_circles])
    @pytest.mark.parametrize("n", [1, 7, 100])
    def test_points_are_where_they_should_be(self, make: object, n: int) -> None:
        X, y = make(n, rng=0)  # type: ignore[operator]
        assert X.shape == (n, 2) and y.sum() == n - n // 2
        centre = np.array([[0, 0], [1, 0.5] if make is make_moons else [0, 0]])[y]
        radius = np.array([1, 1 if make is make_moons else 0.5])[y]
        np.testing.assert_allclose(np.hypot(*(X - centre).T), radius, atol=1e-12)

    @pytest.mark.parametrize("make", [make_moons, make_circles])
    def test_the_same_seed_gives_the_same_points(self, make: object) -> None:
        X, y = make(50, noise=0.1, rng=7)  # type: ignore[operator]
        again = make(50, noise=0.1, rng=np.random.default_rng(7))  # type: ignore[operator]
        assert (again[0] == X).all() and (y == again[1]).all()
        assert (make(50, noise=0.1, rng=8)[0] != X).any()  # type: ignore[operator]

    def test_moons_are_those_of_scikit_learn(self) -> None:
        datasets = pytest.importorskip("sklearn.datasets")
        X, y = make_moons(30, rng=0)
        theirs, classes = datasets.make_moons(30, shuffle=False)
        for c in (0, 1):
            np.testing.assert_allclose(sorted(X[y == c].tolist()), sorted(theirs[classes == c].tolist()), atol=1e-12)

    def test_circles_within_each_other(self) -> None:
        for factor in (1.0, -0.1):
            with pytest.raises(ValueError, match="inner circle"):
                make_circles(10, factor=factor)


class TestStandardizer:
    @given(st.integers(1, 20), st.integers(1, 4), st.integers(-300, 300), st.integers(0, 10**6))
    def test_mean_0_and_deviation_1_at_any_scale(self, n: int, d: int, exponent: int, seed: int) -> None:
        X = np.random.default_rng(seed).normal(3, 2, size=(n, d)) * 10.0**exponent
        standard = Standardizer().fit(X)
        Z = standard.transform(X)
        np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(Z.std(axis=0), 1 if n > 1 else 0, atol=1e-9)
        np.testing.assert_allclose(standard.inverse(Z), X, rtol=1e-9, atol=1e-12 * 10.0**exponent)

    def test_constant_columns(self) -> None:
        X = np.array([[0.1, 1], [0.1, 2], [0.1, 3]])      # three times 0.1 is not 0.3: the mean must still be 0.1
        assert Standardizer().fit(X).transform(X)[:, 0].tolist() == [0, 0, 0]

    def test_a_target_of_one_dimension(self) -> None:
        standard = Standardizer().fit([1.0, 3.0])
        assert standard.transform([5.0]).tolist() == [3.0] and standard.inverse([3.0]).tolist() == [5.0]

    def test_what_is_refused(self) -> None:
        for X, says in (([[np.nan]], r"X\[0\]\[0\] is nan"), ([[1, np.inf]], r"X\[0\]\[1\] is inf"),
                        (np.empty((0, 2)), "X is empty"), ([["1"]], "the text '1'"), (MASKED, r"X\[1\]\[0\] is masked")):
            with pytest.raises((TypeError, ValueError), match=says):
                Standardizer().fit(X)
        with pytest.raises(ValueError, match=r"\(2,\) given rows of shape \(3,\)"):
            Standardizer().fit([[1, 2]]).transform([[1, 2, 3]])


NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-2**70, 2**70), st.booleans(),
                    st.floats(-1e30, 1e30).map(np.float32), st.integers(0, 255).map(np.uint8))


def nested(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Lists of this shape, of numbers of all kinds."""
    strategy: st.SearchStrategy[Any] = NUMBERS
    for n in reversed(shape):
        strategy = st.lists(strategy, min_size=n, max_size=n)
    return strategy


def told(X: Any, y: Any = ...) -> str:
    with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
        Examples.of(X, y)
    return f"{type(caught.value).__name__}: {caught.value}"


class TestExamples:
    @given(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple).flatmap(nested))
    def test_numbers_are_those_of_float_one_by_one(self, X: Any) -> None:
        floats = Examples.of(np.array(X, dtype=object)).X
        examples = Examples.of(X)
        assert examples.X.dtype == np.float64 and examples.X.tolist() == floats.tolist()
        assert list(map(float, np.array(X, dtype=object).ravel())) == floats.ravel().tolist()
        assert [x for x, _ in examples] == list(examples.rows()) == examples.X.tolist()
        found, place = Examples.of(X, X), len(X) - 1
        assert found[place] == (examples.X[place].tolist(), found.y[place].tolist()) == list(found.take([0, place]))[1]
        assert found.lists([place, 0]) == ([found.row(place), found.row(0)], [found[place][1], found[0][1]])

    @pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i8", "u8", "?", "O", ">f8", "g"])
    def test_arrays_of_every_real_type(self, kind: str) -> None:
        X = np.array([[[0, 1], [1, 1]], [[1, 0], [0, 0]]], dtype=kind)
        for given_ in (X, list(X), X.tolist(), tuple(map(list, X)), (x for x in X), np.ma.array(X), np.asfortranarray(X)):
            examples = Examples.of(given_)
            assert examples.X.dtype == np.float64 and (examples.X == X).all() and examples.y.shape == (2, 0)
            assert examples.row(1) == [[1.0, 0.0], [0.0, 0.0]] and type(examples.row(1)[0][0]) is float

    def test_a_table_of_pandas(self) -> None:
        pd = pytest.importorskip("pandas")
        table = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.0]})
        examples = Examples.of(table, table["a"])
        assert examples.X.tolist() == [[1, 1, 0.5], [2, 0, 1]] and examples.y.tolist() == [1, 2]
        table.loc[1, "c"] = np.nan
        assert told(table).startswith("ValueError: X[1][2] is nan")
        assert told(table, ["a", 1]) == told(table.to_numpy().tolist())
        dates = told(pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]), "b": [1]}))
        assert dates.startswith("TypeError: X[0][0] got ") and "needs one real number" in dates

    def test_an_array_of_floats_is_not_copied(self) -> None:
        X = np.ones((400, 50))
        tracemalloc.start()
        try:
            examples = Examples.of(X)
            assert tracemalloc.get_traced_memory()[1] < X.nbytes / 4   # a flag for each number, to find what is not finite
        finally:
            tracemalloc.stop()
        assert np.shares_memory(examples.X, X)

    @pytest.mark.parametrize(("X", "says"), [
        ([[1.0, 2.0], [3.0, np.nan]], "ValueError: X[1][1] is nan: every number must be finite; drop the row or fill the gap"),
        ([[[1.0], [-np.inf]]], "ValueError: X[0][1][0] is -inf"), ([1.0, np.inf], "ValueError: X[1] is inf"),
        ([[1.0, 2.0], [1.0]], "ValueError: X[1] has shape (1,) and X[0] has (2,): all rows need the same shape"),
        ([[1.0, [2.0]]], "ValueError: X[0] has parts of different shapes, () and (1,)"),
        ([[1.0], 2.0], "ValueError: X[1] has shape () and X[0] has (1,)"),
        ([[1 + 2j]], "TypeError: X[0][0] got (1+2j) of type complex"), ([["1", 2.0]], "TypeError: X[0][0] got the text '1'"),
        ([[1.0, None]], "TypeError: X[0][1] got None"), ([[Value(1.0)]], "TypeError: X[0][0] got a Value"),
        ([[1, 10**400]], "OverflowError: X[0][1] got an int beyond the largest float"), ([], "ValueError: X is empty"),
        ([[[]], [[np.nan]]], "ValueError: X[1][0][0] is nan"),
    ])
    def test_what_is_wrong_is_told_by_its_place(self, X: Any, says: str) -> None:
        assert told(X).startswith(says)
        assert told(tuple(X)) == told(x for x in X) == told(X)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_of_several_places_the_first_is_told(self, bad: float) -> None:
        X = np.ones((3, 2, 2))
        X[1, 0, 1] = X[2, 0, 0] = bad
        for given_ in (X, X.astype("f4"), X.astype(object), X.tolist(), list(X), [*X[:2].tolist(), X[2].astype(object)]):
            assert told(given_).startswith(f"ValueError: X[1][0][1] is {bad}: ")

    def test_what_an_array_hides_is_told(self) -> None:
        for X in (MASKED, MASKED.astype(int), list(MASKED), [[1.0, 2.0], MASKED[1]]):
            assert told(X).startswith("ValueError: X[1][0] is masked: ")
        assert told([[1.0], [2.0]], np.ma.array([1, 0], mask=[False, True])).startswith("ValueError: y[1] is masked")
        for X, place in ((np.array([["2020-01-01"]], dtype="M8[ns]"), "X[0][0]"), ([np.timedelta64(5, "ns")], "X[0]"),
                         ([np.array(["2020-01-01"], dtype="M8[D]")], "X[0][0]")):
            assert told(X).startswith(f"TypeError: {place} got np.") and "needs one real number" in told(X)
        assert told(np.array([["1"]])) == "TypeError: X[0][0] got the text '1': convert it with float() first"
        assert told(np.array([[1j]])).startswith("TypeError: X[0][0] got 1j of type complex")
        assert told(np.array([1, 2], dtype=np.longdouble) * np.longdouble("1e309")).startswith("ValueError: X[0] is inf")

    @pytest.mark.parametrize("X", [None, 3, "abc", b"abc", {"a": 1}, np.array(3.0)])
    def test_what_is_no_sequence_is_refused(self, X: Any) -> None:
        assert told(X).startswith("TypeError: X is ") and "a sequence with one entry for each example" in told(X)
        assert told([1.0], X).startswith("TypeError: y is ")

    @pytest.mark.parametrize(("y", "expected"), [
        ([0, 2], [0, 2]), ([0.5, 2], [0.5, 2.0]), ([[0.5], [2]], [0.5, 2.0]), ([[1], [0]], [1, 0]), ([True, False], [1, 0]),
        (np.array([1, 0], dtype="u1"), [1, 0]), (np.array([1, 0], dtype=object), [1, 0]),
        (np.array([[1.0], [0.0]]), [1.0, 0.0]),
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]]), ([[0.5, 0.5], [0, 1]], [[0.5, 0.5], [0.0, 1.0]]), ([2**70, 1], [2.0**70, 1.0]),
        ([Fraction(1, 2), 1], [0.5, 1.0]), ([2**62 + 1, 0], [2**62 + 1, 0]), (np.array([1.5, 2.5], dtype="f4"), [1.5, 2.5]),
    ])
    def test_whole_targets_stay_whole(self, y: Any, expected: Any) -> None:
        found = Examples.of([[1.0], [2.0]], y).y.tolist()
        assert found == expected and list(map(type, np.ravel(found).tolist())) == list(map(type, np.ravel(expected).tolist()))

    def test_one_hot_rows_are_recognised(self) -> None:
        for y, right in (([[1, 0], [0, 1]], True), ([[1.0, 0.0], [1.0, 0.0]], True), ([[1, 1], [0, 1]], False), ([0, 1], False),
                         ([[0.5, 0.5], [0, 1]], False), ([[2, -1], [0, 1]], False), ([[1, 0, 0], [0, 1, 0]], False)):
            assert Examples.of([1.0, 2.0], y).one_hot(2) is right


class TestSplit:
    @given(st.integers(2, 60), st.floats(0.05, 0.95), st.integers(0, 10**6))
    def test_parts_make_the_whole(self, n: int, fraction: float, seed: int) -> None:
        size = round(fraction * n)
        if not 0 < size < n:
            return
        X = np.arange(n)[:, None]
        a, b, c, d = train_test_split(X, np.arange(n), test=fraction, rng=seed)
        assert len(b) == len(d) == size and sorted([*c, *d]) == list(range(n))
        assert (a[:, 0] == c).all() and (b[:, 0] == d).all()

    @given(st.lists(st.integers(2, 20), min_size=2, max_size=4), st.floats(0.1, 0.6), st.integers(0, 10**6))
    def test_stratified_parts_have_each_class_in_its_share(self, counts: list[int], fraction: float, seed: int) -> None:
        y = np.repeat(np.arange(len(counts)), counts)
        size = round(fraction * len(y))
        if not 0 < size <= len(y) - len(counts):
            return
        _, _, training, test = train_test_split(y, y, test=size, rng=seed, stratify=True)
        assert len(test) == size
        for c, count in enumerate(counts):
            assert (training == c).sum() >= 1
            if count * (1 - fraction) >= 2:
                assert abs((test == c).sum() - fraction * count) <= 2

    def test_the_same_seed_gives_the_same_split(self) -> None:
        split = [train_test_split(range(20), range(20), rng=3)[1].tolist() for _ in range(2)]
        assert split[0] == split[1] and len(split[0]) == 5

    def test_what_is_masked_stays_masked_until_it_is_refused(self) -> None:
        parts = train_test_split(MASKED, [0, 1], test=1, rng=0)
        assert {told(part).split(":")[1] for part in parts[:2] if np.ma.is_masked(part)} == {" X[0][0] is masked"}
        assert told(Standardizer().fit([[1, 2], [3, 4]]).transform(MASKED)).startswith("ValueError: X[1][0] is masked")

    def test_what_is_refused(self) -> None:
        for test in (0, 10, 0.0, 1.0, -1, 0.01):
            with pytest.raises(ValueError, match="leaves a part empty"):
                train_test_split(range(10), range(10), test=test)
        with pytest.raises(ValueError, match="3 rows in X, but 2 in y"):
            train_test_split(range(3), range(2))
        with pytest.raises(ValueError, match="without a row to train on"):
            train_test_split(range(4), [0, 0, 1, 2], test=2, stratify=True)


def test_mini_batches_hold_each_row_once() -> None:
    for n, size in ((10, 3), (10, 10), (10, 11), (10, None), (10, 1), (0, None)):
        batches = list(mini_batches(n, size, rng=0))
        assert sorted(i for batch in batches for i in batch.tolist()) == list(range(n))
        assert all(len(batch) == (size or n) for batch in batches[:-1])
    with pytest.raises(ValueError, match="at least one row"):
        list(mini_batches(3, 0))


def test_one_hot() -> None:
    assert one_hot([1, 0], 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert one_hot([], 2).shape == (0, 2)
    for y in ([3], [-1], [0.5]):
        with pytest.raises(ValueError, match=r"y\[0\]"):
            one_hot(y, 3)
