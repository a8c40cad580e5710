-- A file of the trace store's version 1, as its own code wrote it.
PRAGMA journal_mode = WAL;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE attachments (run_id TEXT, name TEXT, mime TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run_id, name));
INSERT INTO "attachments" VALUES('00000000-0000-0000-0000-000000000003','rec','audio/wav',X'5249464600');
CREATE TABLE feedback (id TEXT PRIMARY KEY, run_id TEXT, body TEXT NOT NULL);
INSERT INTO "feedback" VALUES('00000000-0000-0000-0000-000000000046','00000000-0000-0000-0000-000000000002','{"id": "00000000-0000-0000-0000-000000000046", "run_id": "00000000-0000-0000-0000-000000000002", "key": "ok", "score": 1.0}');
CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT NULL, body TEXT NOT NULL);
INSERT INTO "projects" VALUES('ec3c7e5c-e0b1-4a46-acf0-a366fb24c4d3','clinic',1795431712070440,'{}');
INSERT INTO "projects" VALUES('7a130e7d-58a4-4c7b-a488-03278a67f21e','other',1795431712072648,'{}');
CREATE TABLE received (at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, headers_json TEXT NOT NULL, body BLOB NOT NULL);
INSERT INTO "received" VALUES(1.79543171207283592223e+09,'POST','/runs','[["x-api-key", "<not kept>"]]',X'7B7D');
CREATE TABLE runs (id TEXT PRIMARY KEY, project_id TEXT, trace_id TEXT NOT NULL, parent_id TEXT, started_us INTEGER NOT NULL,
  ended_us INTEGER, run_type TEXT, has_error INTEGER NOT NULL, patched TEXT NOT NULL, body TEXT NOT NULL);
INSERT INTO "runs" VALUES('00000000-0000-0000-0000-000000000001','ec3c7e5c-e0b1-4a46-acf0-a366fb24c4d3','00000000-0000-0000-0000-000000000001',NULL,1772355600000000,1772355609000000,'chain',0,'[]','{"id": "00000000-0000-0000-0000-000000000001", "name": "voice_session", "run_type": "chain", "start_time": "2026-03-01T09:00:00+00:00", "end_time": "2026-03-01T09:00:09+00:00", "tags": ["prod"], "extra": {"metadata": {"thread_id": "t-1", "env": "dev"}}, "session_name": "clinic"}');
INSERT INTO "runs" VALUES('00000000-0000-0000-0000-000000000002','ec3c7e5c-e0b1-4a46-acf0-a366fb24c4d3','00000000-0000-0000-0000-000000000001','00000000-0000-0000-0000-000000000001',1772355601000000,1772355603000000,'llm',0,'[]','{"id": "00000000-0000-0000-0000-000000000002", "trace_id": "00000000-0000-0000-0000-000000000001", "parent_run_id": "00000000-0000-0000-0000-000000000001", "name": "agent_turn", "run_type": "LLM", "start_time": "2026-03-01T09:00:01+00:00", "end_time": "2026-03-01T09:00:03+00:00", "events": [{"name": "new_token", "time": "2026-03-01T09:00:01.250000+00:00"}], "outputs": {"usage_metadata": {"input_tokens": 7, "output_tokens": 3, "total_cost": 0.5}}, "session_name": "clinic"}');
INSERT INTO "runs" VALUES('00000000-0000-0000-0000-000000000003','ec3c7e5c-e0b1-4a46-acf0-a366fb24c4d3','00000000-0000-0000-0000-000000000001','00000000-0000-0000-0000-000000000001',1772355604000000,1772355604200000,'tool',1,'[]','{"id": "00000000-0000-0000-0000-000000000003", "trace_id": "00000000-0000-0000-0000-000000000001", "parent_run_id": "00000000-0000-0000-0000-000000000001", "name": "tool.book", "run_type": "tool", "start_time": "2026-03-01T09:00:04+00:00", "end_time": "2026-03-01T09:00:04.200000+00:00", "error": "LookupError", "inputs": {"who": "Zo\u00eb \ud800"}, "session_name": "clinic"}');
INSERT INTO "runs" VALUES('00000000-0000-0000-0000-000000000004',NULL,'00000000-0000-0000-0000-000000000009',NULL,1795431712072474,NULL,'',0,'["id", "outputs", "trace_id"]','{"id": "00000000-0000-0000-0000-000000000004", "trace_id": "00000000-0000-0000-0000-000000000009", "outputs": {"a": 1}}');
INSERT INTO "runs" VALUES('00000000-0000-0000-0000-000000000005','7a130e7d-58a4-4c7b-a488-03278a67f21e','00000000-0000-0000-0000-000000000005',NULL,1772355650000000,NULL,'chain',0,'[]','{"id": "00000000-0000-0000-0000-000000000005", "name": "open", "run_type": "chain", "start_time": "2026-03-01T09:00:50+00:00", "session_name": "other"}');
CREATE INDEX runs_by_project ON runs (project_id, started_us, id);
CREATE INDEX runs_by_start ON runs (started_us, id);
CREATE INDEX runs_by_trace ON runs (trace_id);
CREATE INDEX feedback_by_run ON feedback (run_id);
COMMIT;
