-- What the functions of this directory pass to each other and answer.

-- How an act is to be recorded: what was used, how often, under which version of the cost table, by which token.
CREATE TYPE credits_use AS (
    action text, cost_version integer, quantity bigint, reference text, metadata jsonb, token_id uuid
);

-- From which accounts an amount would be taken, and how the customer would stand after it.
CREATE TYPE credits_plan AS (
    sources bigint[], amounts bigint[], drained bigint[], missing bigint, available bigint, base bigint
);

-- What the caller is told. A refusal is data and not an error, so that the caller's transaction stays usable.
CREATE TYPE credits_answer AS (
    refusal text, facts jsonb, id uuid, amount bigint, metered bigint, available bigint, state text, version bigint,
    replayed boolean, at timestamptz, unit text
);

-- A grant that is to be made. The key says for what; the same key makes it once.
CREATE TYPE credits_new_grant AS (
    key text, user_id bigint, amount bigint, source text, priority smallint, is_promotional boolean,
    expires_at timestamptz, paid_minor bigint, paid_currency text, reason text, issued_by bigint
);
