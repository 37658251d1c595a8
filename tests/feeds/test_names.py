import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.feeds.names import fit_column, fit_header, snake_case


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Order Placed", "order_placed"),
        ("Order-Placed", "order_placed"),
        ("OrderPlaced", "order_placed"),
        ("order_placed", "order_placed"),
        ("UTM Visited", "utm_visited"),
        ("SMSSent", "sms_sent"),
        ("users.messages.email.Open", "users_messages_email_open"),
        ("[Amplitude] Page Viewed", "amplitude_page_viewed"),
        ("eventProps.Campaign id", "event_props_campaign_id"),
        ("Café ouvert", "cafe_ouvert"),
        ("购买", "u8d2d_u4e70"),
        ("2nd Purchase", "2nd_purchase"),
        ("??", "unnamed"),
    ],
)
def test_an_event_becomes_a_readable_table_name(name: str, snake: str) -> None:
    """The name a vendor shows and the one it writes in file names become the same table."""
    assert snake_case(name) == snake


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("customer_id", "customer_id"),
        ("orderId", "orderId"),
        ("Campaign id", "Campaign_id"),
        ("a___b", "a___b"),
        (" e-mail ", "e_mail"),
        ("1st", "_1st"),
        ("größe", "größe"),
        ("_TABLE_x", "x_TABLE_x"),
        ("_rowferry_file", "x_rowferry_file"),
        ("%", ""),
    ],
)
def test_a_header_name_is_made_fit_for_bigquery(name: str, column: str) -> None:
    """Only what BigQuery forbids is changed; its own and our names stay free."""
    assert fit_column(name) == column


def test_names_that_fall_together_stay_two_columns() -> None:
    """`CT Source` and `CT.Source` in one file do not overwrite each other, and neither do repeats and empty names."""
    columns = fit_header(["CT Source", "CT.Source", "amount", "Amount", "amount", "", "%"], {})
    assert columns[0] == "CT_Source"
    assert columns[2] == "amount"
    assert columns[4:] == ["amount_5", "column_6", "column_7"]
    assert len({column.lower() for column in columns}) == 7


def test_a_known_name_keeps_its_column_in_another_order() -> None:
    """What a name became in the first file, it is in every later one."""
    first = dict(zip(["CT Source", "CT.Source"], fit_header(["CT Source", "CT.Source"], {}), strict=True))
    assert fit_header(["CT.Source", "CT Source"], first) == [first["CT.Source"], first["CT Source"]]
    assert fit_header(["CT.Source"], first) == [first["CT.Source"]]


@given(st.lists(st.text(max_size=300), max_size=30))
def test_any_header_gives_names_that_bigquery_takes(header: list[str]) -> None:
    """Whatever stands in a header: as many columns, all different but for case, none too long or reserved."""
    columns = fit_header(header, {})
    assert len(columns) == len(header)
    assert len({column.lower() for column in columns}) == len(columns)
    for column in columns:
        assert 0 < len(column) <= 300
        assert not column[0].isdigit()
        assert not column.lower().startswith("_rowferry_")
        assert all(letter == "_" or letter.isalnum() for letter in column)
