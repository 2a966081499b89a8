-- What a session asks a SQL Server about itself and its tables. The type of a column is its comment.
create schema dbo;
create schema sys;
create domain sys.moment as text collate "C";
create operator sys.+ (leftarg = bytea, rightarg = bytea, function = byteacat);
create table sys.options (snapshot_isolation_state int, is_read_committed_snapshot_on int, engine_edition int,
  may_create_database int, min_active_rowversion bytea, gives_locks boolean default true,
  drops_snapshots boolean default true);
insert into sys.options values (1, 0, 3, 1, '\x7fffffffffffffff');
create table sys.snapshots (name text, database_id int, owner_sid text, create_date timestamp);

-- A session in a database snapshot has its name in `rivet.snapshot`.
create function sys.db_name() returns text language sql as
  $$select coalesce(nullif(current_setting('rivet.snapshot', true), ''), current_database())$$;
create view sys.databases as
  select current_database()::text as name, oid::int as database_id, null::int as source_database_id, 'sa' as owner_sid,
    now()::timestamp as create_date, snapshot_isolation_state, is_read_committed_snapshot_on
  from sys.options, pg_catalog.pg_database where datname = current_database()
  union all
  select s.name, s.database_id, d.oid::int, s.owner_sid, s.create_date, 0, 0
  from sys.snapshots s, pg_catalog.pg_database d where d.datname = current_database();
create view sys.database_files as
  select * from (values ('data', 'C:\Data\app.mdf', 1, 0, 0), ('log', 'C:\Data\app.ldf', 2, 1, 0),
    ('more', 'D:\Data\more.ndf', 3, 0, 0)) as f (name, physical_name, file_id, type, state);
create view sys.schemas as select oid::int as schema_id, nspname::text as name from pg_catalog.pg_namespace;
create view sys.objects as
  select oid::int as object_id, relname::text as name, relnamespace::int as schema_id,
    (case when relkind = 'v' then 'V' else 'U' end)::char(2) as type,
    (relnamespace = 'sys'::regnamespace or relnamespace::regnamespace::text ~ '^(pg_|information_schema)')::int as is_ms_shipped
  from pg_catalog.pg_class where relkind in ('r', 'v', 'p');
create view sys.columns as
  select attrelid::int as object_id, attnum::int as column_id, attname::text as name,
    (attidentity <> '')::int as is_identity, 0 as generated_always_type,
    coalesce((select d.oid::int from pg_catalog.pg_attrdef d where d.adrelid = attrelid and d.adnum = attnum), 0)
      as default_object_id
  from pg_catalog.pg_attribute where attnum > 0 and not attisdropped;
create view sys.default_constraints as
  select oid::int as object_id, replace(pg_get_expr(adbin, adrelid), 'sysutcdatetime()', 'getutcdate()') as definition
  from pg_catalog.pg_attrdef;
create view sys.indexes as
  select indrelid::int as object_id, indexrelid::int as index_id, indexrelid::regclass::text as name,
    indisunique::int as is_unique, indisprimary::int as is_primary_key, (indpred is not null)::int as has_filter,
    0 as is_disabled, 2 as type
  from pg_catalog.pg_index;
create view sys.index_columns as
  select indrelid::int as object_id, indexrelid::int as index_id, k.attnum::int as column_id, k.place::int as key_ordinal
  from pg_catalog.pg_index cross join lateral unnest(indkey::int2[]) with ordinality as k(attnum, place);
create view sys.partitions as
  select oid::int as object_id, oid::int as partition_id, 0 as index_id, greatest(reltuples, 0)::int as rows
  from pg_catalog.pg_class where relkind = 'r';
create view sys.allocation_units as select oid::int as container_id, relpages as used_pages from pg_catalog.pg_class;

create function sys.version() returns text language sql as
  $$select 'Microsoft SQL Server 2022 (stand-in) - 16.0.1000.6'$$;
create function sys.db_id() returns int language sql as
  $$select database_id from sys.databases where name = sys.db_name()$$;
create function sys.serverproperty(text) returns int language sql as $$select engine_edition from sys.options$$;
create function sys.min_active_rowversion() returns bytea language sql as
  $$select min_active_rowversion from sys.options$$;
create function sys.suser_sid() returns text language sql as $$select 'sa'$$;
create function sys.applock_test(text, text, text, text) returns int language sql as
  $$select case when pg_try_advisory_lock(hashtext($2)) then pg_advisory_unlock(hashtext($2))::int else 0 end$$;
create function sys.applock_mode(text, text, text) returns text language sql as
  $$select case when exists (select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
    and objid::bigint = hashtext($2)::bigint & 4294967295) then 'Exclusive' else 'NoLock' end$$;
create function sys.schema_name() returns text language sql as $$select 'dbo'$$;
create function sys.quotename(text) returns text language sql as $$select '[' || replace($1, ']', ']]') || ']'$$;
create function sys.object_id(text) returns int language sql as
  $$select to_regclass(regexp_replace($1, '\[([^\]]*)\]', '"\1"', 'g'))::oid::int$$;
create function sys.databasepropertyex(text, text) returns text language sql as $$select 'READ_WRITE'$$;
create function sys.has_perms_by_name(text, text, text) returns int language sql as
  $$select case when $3 like 'CREATE %' then may_create_database else 1 end from sys.options$$;
create function sys.current_transaction_id() returns bigint language sql as $$select pg_current_xact_id()::text::bigint$$;
create function sys.sql_variant_property(text, text) returns text language sql as $$select 'nvarchar'$$;
create function sys.moment_text(timestamp) returns text language sql immutable as
  $$select to_char($1, 'YYYY-MM-DD HH24:MI:SS.US') || '0'$$;
create function sys.sysutcdatetime() returns sys.moment language sql stable as
  $$select sys.moment_text(now() at time zone 'utc')$$;
create function sys.dateadd(text, int, text) returns sys.moment language sql immutable as
  $$select case when length($3) = 10 then to_char($3::date + $2, 'YYYY-MM-DD')
      else sys.moment_text($3::timestamp + ($2 || ' ' || $1)::interval) end$$;
create function sys.datediff_big(text, text, text) returns bigint language sql immutable as
  $$select floor(extract(epoch from $3::timestamp - $2::timestamp)
      * case $1 when 'millisecond' then 1000 else 1 end)::bigint$$;
create function sys.todatetimeoffset(text, int) returns sys.moment language sql immutable as $$select $1 || ' +00:00'$$;
