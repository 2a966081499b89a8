-- The tables of the acceptance plan. Sizes are parameters; each statement ends with `;` at the end of a line.
drop table if exists users;
create table users (
    id integer primary key, name text not null, email text not null, age integer, balance numeric, is_active boolean not null,
    bio text, created_at timestamp not null, updated_at timestamp not null
);
insert into users
with recursive s(i) as (select 1 where :users > 0 union all select i + 1 from s where i < :users)
select i, 'User ' || i, 'user' || i || '@example.com', iif(i % 10 > 0, 18 + i % 60, null), i * 1.25, i % 5 > 0,
       iif(i % 3 > 0, md5(i) || md5(i), null), datetime('2025-01-01', (i * 7) || ' minutes'),
       datetime('2025-06-01', (i * 5) || ' minutes')
from s;
create index users_updated_at on users (updated_at);
drop table if exists orders;
create table orders (
    id integer primary key, user_id integer not null, product text not null, quantity integer not null, price numeric not null,
    status text not null, ordered_at timestamp not null, updated_at timestamp not null
);
insert into orders
with recursive s(i) as (
    select 1 where :users * :orders_per_user > 0 union all select i + 1 from s where i < :users * :orders_per_user
)
select i, 1 + i % :users, 'Product ' || (i % 500), 1 + i % 7, round((i % 10000) * 0.37, 2),
       case i % 4 when 0 then 'new' when 1 then 'paid' when 2 then 'shipped' else 'returned' end,
       datetime('2025-01-01', i || ' minutes'), datetime('2025-01-02', i || ' minutes')
from s;
create index orders_updated_at on orders (updated_at);
drop table if exists events;
create table events (
    id integer primary key, user_id integer not null, event_type text not null, payload text, created_at timestamp not null
);
insert into events
with recursive s(i) as (
    select 1 where :users * :events_per_user > 0 union all select i + 1 from s where i < :users * :events_per_user
)
select i, 1 + i % :users, case i % 3 when 0 then 'click' when 1 then 'view' else 'login' end, '{"n": ' || i || '}',
       datetime('now', -(i % 30) || ' days')
from s;
create index events_created_at on events (created_at);
drop table if exists page_views;
create table page_views (
    id integer primary key, url text not null, referrer text, duration_ms integer not null, viewed_at timestamp not null
);
insert into page_views
with recursive s(i) as (select 1 where :page_views > 0 union all select i + 1 from s where i < :page_views)
select i, 'https://example.com/p/' || (i % 1000), iif(i % 4 > 0, 'https://example.org/' || (i % 50), null), i % 90000,
       datetime('2025-03-01', (i * 3) || ' seconds')
from s;
drop table if exists content_items;
create table content_items (
    id integer primary key, title text not null, body text not null, metadata text not null, updated_at timestamp not null
);
insert into content_items
with recursive s(i) as (select 1 where :content_items > 0 union all select i + 1 from s where i < :content_items)
select i, 'Item ' || i, replace('........', '.', md5(i) || ' '), '{"lang": "en", "n": ' || i || '}',
       datetime('2025-02-01', (i * 10) || ' seconds')
from s;
-- from here: the sparse demo
drop table if exists orders_sparse;
create table orders_sparse (
    id integer primary key, product text not null, price numeric not null, ordered_at timestamp not null
);
insert into orders_sparse
with recursive s(i) as (select 1 where :sparse_rows > 0 union all select i + 1 from s where i < :sparse_rows)
select i * :sparse_gap, 'Product ' || (i % 500), round((i % 10000) * 0.37, 2), datetime('2025-01-01', i || ' minutes')
from s;
analyze;
