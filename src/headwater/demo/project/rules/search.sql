-- rule: search_terms
-- owner: search-team
-- tier: P2
-- description: What people look for, spelled one way, in both apps
INSERT INTO search_terms
SELECT app,
       event_time AS ts,
       lower(trim(properties.query)) AS term,
       properties.results AS results,
       properties.filters AS filters,
       properties.results = 0 AS is_empty
FROM app_events
WHERE event = 'search' AND length(trim(properties.query)) > 2;
