-- The tables of the acceptance plan. Sizes are variables of psql, which come before.
begin;
\if :only_sparse
\else
drop table if exists page_views, events, orders, content_items, users;
create table users (
    id bigint primary key,
    name text not null,
    email text not null,
    age integer,
    balance numeric(12, 2),
    is_active boolean not null,
    bio text,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
insert into users
select i, 'User ' || i, 'user' || i || '@example.com', case when i % 10 > 0 then 18 + i % 60 end, i * 1.25,
       i % 5 > 0, case when i % 3 > 0 then repeat(md5(i::text), 2) end,
       timestamptz '2025-01-01 00:00+00' + i * interval '7 minutes',
       timestamptz '2025-06-01 00:00+00' + i * interval '5 minutes'
from generate_series(1, :users) i;
create index on users (updated_at);
create table orders (
    id bigint primary key,
    user_id bigint not null references users,
    product text not null,
    quantity integer not null,
    price numeric(10, 2) not null,
    status text not null,
    ordered_at timestamptz not null,
    updated_at timestamptz not null
);
insert into orders
select i, 1 + i % :users, 'Product ' || i % 500, 1 + i % 7, (i % 10000) * 0.37,
       (array['new', 'paid', 'shipped', 'returned'])[1 + i % 4],
       timestamptz '2025-01-01 00:00+00' + i * interval '1 minute',
       timestamptz '2025-01-02 00:00+00' + i * interval '1 minute'
from generate_series(1, :users * :orders_per_user) i;
create index on orders (updated_at);
create table events (
    id bigint primary key,
    user_id bigint not null,
    event_type text not null,
    payload jsonb,
    created_at timestamptz not null
);
insert into events
select i, 1 + i % :users, (array['click', 'view', 'login'])[1 + i % 3], jsonb_build_object('n', i),
       now() - (i % 30) * interval '1 day'
from generate_series(1, :users * :events_per_user) i;
create index on events (created_at);
create table page_views (
    id bigint primary key,
    url text not null,
    referrer text,
    duration_ms integer not null,
    viewed_at timestamptz not null
);
insert into page_views
select i, 'https://example.com/p/' || i % 1000, case when i % 4 > 0 then 'https://example.org/' || i % 50 end,
       i % 90000, timestamptz '2025-03-01 00:00+00' + i * interval '3 seconds'
from generate_series(1, :page_views) i;
create table content_items (
    id bigint primary key,
    title text not null,
    body text not null,
    metadata jsonb not null,
    updated_at timestamptz not null
);
insert into content_items
select i, 'Item ' || i, repeat(md5(i::text) || ' ', 8), jsonb_build_object('lang', 'en', 'n', i),
       timestamptz '2025-02-01 00:00+00' + i * interval '10 seconds'
from generate_series(1, :content_items) i;
\endif
drop table if exists orders_sparse;
create table orders_sparse (
    id bigint primary key,
    product text not null,
    price numeric(10, 2) not null,
    ordered_at timestamptz not null
);
insert into orders_sparse
select i * :sparse_gap, 'Product ' || i % 500, (i % 10000) * 0.37,
       timestamptz '2025-01-01 00:00+00' + i * interval '1 minute'
from generate_series(1, :sparse_rows) i;
commit;
analyze;
