-- How many events came in each minute, for the chart of a day: to count millions of rows for it
-- would be the dearest part of a page. minute is minutes since 1970, UTC.

CREATE TABLE event_volume (
    minute   bigint   NOT NULL,
    severity smallint NOT NULL,
    matched  boolean  NOT NULL,
    events   bigint   NOT NULL,
    PRIMARY KEY (minute, severity, matched)
);
