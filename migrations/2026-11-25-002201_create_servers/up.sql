CREATE TABLE servers (
    host text PRIMARY KEY,
    software text,
    version text,
    told_at timestamptz,
    ask_at timestamptz NOT NULL,
    failure text,
    look_at timestamptz NOT NULL,
    offered_at timestamptz,
    paused_until timestamptz,
    pause_reason text
);
CREATE INDEX servers_look ON servers (look_at);
COMMENT ON TABLE servers IS 'Servers with followers of accounts that offer them old posts (decision 0026): what they run, and how offering goes there. A row goes by nobody; it is small.';
COMMENT ON COLUMN servers.host IS 'As remote_actors.host: in lower case, with its port where there is one.';
COMMENT ON COLUMN servers.software IS 'Name by NodeInfo, in lower case; NULL: it has not told yet.';
COMMENT ON COLUMN servers.told_at IS 'When it last told what it runs.';
COMMENT ON COLUMN servers.ask_at IS 'When it is asked again what it runs.';
COMMENT ON COLUMN servers.failure IS 'Why it did not tell when it was last asked; NULL: it did.';
COMMENT ON COLUMN servers.look_at IS 'When it is looked at next. Whoever looks puts this off first, so that one process looks at a time.';
COMMENT ON COLUMN servers.offered_at IS 'When it was last offered a post, by whichever account: the pace goes by this.';
COMMENT ON COLUMN servers.paused_until IS 'It is offered nothing before that, for the reason beside it.';
