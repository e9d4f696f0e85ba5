-- What is too old is found without reading everything. A file of the first release is rewritten once
-- after this step, so that it can give free pages back.

CREATE INDEX findings_by_change ON findings (changed_at);
