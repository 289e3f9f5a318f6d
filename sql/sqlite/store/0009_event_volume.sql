-- How many events came in each minute, for the chart of a day: to count millions of rows for it
-- would be the dearest part of a page. minute is minutes since 1970, UTC.

CREATE TABLE event_volume (
    minute   INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    matched  INTEGER NOT NULL,
    events   INTEGER NOT NULL,
    PRIMARY KEY (minute, severity, matched)
) WITHOUT ROWID;
