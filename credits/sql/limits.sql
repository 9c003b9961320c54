-- Daily and monthly limits, in UTC. What is held counts as if it were spent.

CREATE OR REPLACE FUNCTION credits_over(
    p_kind text, p_limit bigint, p_period date, p_counted date, p_spent bigint, p_held bigint, p_amount bigint,
    p_resets date
) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN CASE WHEN p_counted = p_period THEN p_spent ELSE 0 END + p_held + p_amount > p_limit THEN
        jsonb_build_object('kind', p_kind, 'limit', p_limit, 'resets_at', to_char(p_resets, 'YYYY-MM-DD"T00:00:00Z"'))
    END
$$;

-- The limit that this amount would break, or null. Called only where a limit is set.
CREATE OR REPLACE FUNCTION credits_limit(
    p_purse credits_purse, p_allowance credits_allowance, p_amount bigint, p_today date
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    this_month date := date_trunc('month', p_today)::date;
    tomorrow date := p_today + 1;
    next_month date := (date_trunc('month', p_today) + interval '1 month')::date;
    held bigint;
    found jsonb;
BEGIN
    IF p_purse.daily_limit IS NOT NULL OR p_purse.monthly_limit IS NOT NULL THEN
        SELECT coalesce(sum(amount), 0) INTO held FROM credits_hold
         WHERE purse_id = p_purse.id AND state = 'open' AND NOT is_metered;
        found := coalesce(
            credits_over('daily', p_purse.daily_limit, p_today, p_purse.day, p_purse.day_spent, held, p_amount, tomorrow),
            credits_over('monthly', p_purse.monthly_limit, this_month, p_purse.month, p_purse.month_spent, held, p_amount,
                         next_month)
        );
    END IF;
    IF found IS NULL AND p_allowance.id IS NOT NULL THEN
        SELECT coalesce(sum(h.amount), 0) INTO held FROM credits_hold h JOIN credits_purse p ON p.id = h.purse_id
         WHERE h.token_id = p_allowance.token_id AND h.state = 'open' AND NOT h.is_metered AND p.unit = p_allowance.unit;
        found := coalesce(
            credits_over('token_daily', p_allowance.daily_limit, p_today, p_allowance.day, p_allowance.day_spent, held,
                         p_amount, tomorrow),
            credits_over('token_monthly', p_allowance.monthly_limit, this_month, p_allowance.month,
                         p_allowance.month_spent, held, p_amount, next_month)
        );
    END IF;
    RETURN found;
END $$;

-- The unlimited may use so much in a month; what they hold counts.
CREATE OR REPLACE FUNCTION credits_fair_use(p_purse credits_purse, p_amount bigint, p_today date)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
BEGIN
    IF p_purse.fair_use_per_month IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(sum(amount), 0) INTO held FROM credits_hold
     WHERE purse_id = p_purse.id AND state = 'open' AND is_metered;
    RETURN credits_over(
        'fair_use', p_purse.fair_use_per_month, date_trunc('month', p_today)::date, p_purse.month, p_purse.month_metered,
        held, p_amount, (date_trunc('month', p_today) + interval '1 month')::date
    );
END $$;

-- Adds to (or, with a negative amount, takes from) the counters of an allowance that the caller has locked.
CREATE OR REPLACE FUNCTION credits_count(p_allowance credits_allowance, p_amount bigint, p_today date)
RETURNS void LANGUAGE sql AS $$
    UPDATE credits_allowance
       SET day_spent = CASE WHEN day = p_today THEN day_spent ELSE 0 END + p_amount,
           day = p_today,
           month_spent = CASE WHEN month = date_trunc('month', p_today)::date THEN month_spent ELSE 0 END + p_amount,
           month = date_trunc('month', p_today)::date
     WHERE id = p_allowance.id
$$;
