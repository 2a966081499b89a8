//! The engines that a table is read from.
//! It must not know how one is started.

/// What holds the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Mariadb,
    Sqlite,
    /// SQL Server's protocol: the stand-in, which repeats itself.
    Tds,
}

impl Engine {
    /// As the test servers and the peers' script call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
            Self::Sqlite => "sqlite",
            Self::Tds => "tds",
        }
    }

    /// As our settings call it.
    pub fn source(self) -> &'static str {
        match self {
            Self::Mariadb => "mysql",
            Self::Tds => "mssql",
            other => other.id(),
        }
    }

    /// What stands before the name of a table.
    pub fn schema(self) -> &'static str {
        match self {
            Self::Postgres => "public.",
            Self::Mariadb | Self::Sqlite => "",
            Self::Tds => "dbo.",
        }
    }
}
