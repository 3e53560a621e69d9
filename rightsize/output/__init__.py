"""Tables, charts, alerts and the report: results for people and for programs."""
