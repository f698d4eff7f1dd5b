//! AWS charges for traffic: a dated table of prices that can be replaced.
//!
//! A price that is not in the table is unknown; it is never derived from that of another region.

use std::fmt;

use super::region::Region;

/// An element of a path that AWS charges for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Charge {
    /// A gateway endpoint: free.
    GatewayEndpoint,
    /// An interface endpoint: per hour and Availability Zone, and per GB.
    InterfaceEndpoint,
    /// A resource endpoint.
    ResourceEndpoint,
    /// A service-network endpoint.
    ServiceNetworkEndpoint,
    /// A Gateway Load Balancer endpoint: per hour and Availability Zone, and per GB.
    GatewayLoadBalancerEndpoint,
    /// A NAT gateway: per hour, and per GB.
    NatGateway,
    /// A transit gateway: per hour and attachment, and per GB.
    TransitGateway,
    /// A VPN connection or a Direct Connect port.
    PrivateConnection,
    /// A public IPv4 address: per hour.
    PublicIpv4,
    /// Traffic between Availability Zones: per GB in each direction.
    CrossAz,
    /// Traffic to another region: per GB.
    CrossRegion,
    /// Outbound traffic to the internet: per GB.
    InternetOut,
}

impl Charge {
    /// All variants.
    pub const ALL: &'static [Self] = &[
        Self::GatewayEndpoint,
        Self::InterfaceEndpoint,
        Self::ResourceEndpoint,
        Self::ServiceNetworkEndpoint,
        Self::GatewayLoadBalancerEndpoint,
        Self::NatGateway,
        Self::TransitGateway,
        Self::PrivateConnection,
        Self::PublicIpv4,
        Self::CrossAz,
        Self::CrossRegion,
        Self::InternetOut,
    ];

    /// Returns its name in the table and in audits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayEndpoint => "gateway-endpoint",
            Self::InterfaceEndpoint => "interface-endpoint",
            Self::ResourceEndpoint => "resource-endpoint",
            Self::ServiceNetworkEndpoint => "service-network-endpoint",
            Self::GatewayLoadBalancerEndpoint => "gateway-load-balancer-endpoint",
            Self::NatGateway => "nat-gateway",
            Self::TransitGateway => "transit-gateway",
            Self::PrivateConnection => "private-connection",
            Self::PublicIpv4 => "public-ipv4",
            Self::CrossAz => "cross-az",
            Self::CrossRegion => "cross-region",
            Self::InternetOut => "internet-out",
        }
    }

    /// Returns a description of how it is billed.
    pub fn billing_basis(self) -> &'static str {
        match self {
            Self::GatewayEndpoint => "free",
            Self::InterfaceEndpoint
            | Self::ResourceEndpoint
            | Self::GatewayLoadBalancerEndpoint
            | Self::ServiceNetworkEndpoint => "hourly per Availability Zone, and per GB",
            Self::NatGateway => "hourly, and per GB processed",
            Self::TransitGateway => "hourly per attachment, and per GB processed",
            Self::PrivateConnection => "a VPN connection or a Direct Connect port: hourly, and per GB out",
            Self::PublicIpv4 => "hourly",
            Self::CrossAz => "per GB in each direction",
            Self::CrossRegion | Self::InternetOut => "per GB",
        }
    }
}

/// The unit of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PricingUnit {
    /// One hour.
    Hour,
    /// One gigabyte.
    Gb,
}

impl PricingUnit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Gb => "gb",
        }
    }
}

/// A price.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// In US dollars, as in the table.
    pub usd: String,
    /// The date when it was retrieved, such as `2026-09-25`.
    pub date: String,
    /// Where it is published.
    pub source: String,
}

/// A table of prices.
#[derive(Debug, Default)]
pub struct Prices {
    rows: Vec<PriceRow>,
}

#[derive(Debug)]
struct PriceRow {
    /// Its line, counted from 1.
    line: usize,
    /// The region, or `*` for all regions.
    region: String,
    charge: Charge,
    unit: PricingUnit,
    price: Price,
}

/// An error in a table of prices, with its position, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceError {
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The error message.
    pub message: String,
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl Prices {
    /// Parses the contents of a file. A byte order mark and CRLF line endings, as written by spreadsheets,
    /// are accepted.
    ///
    /// # Errors
    ///
    /// The first invalid line.
    pub fn parse_bytes(octets: &[u8]) -> Result<Self, PriceError> {
        match std::str::from_utf8(octets) {
            Ok(text) => Self::parse(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(error) => {
                let valid = String::from_utf8_lossy(&octets[..error.valid_up_to()]);
                let line = valid.matches('\n').count() + 1;
                let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                Err(PriceError { line, column, message: "the file is not valid UTF-8".to_owned() })
            }
        }
    }

    /// Parses a table: six columns separated by tabs; `#` begins a comment line.
    ///
    /// # Errors
    ///
    /// The first invalid line.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let mut prices = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let row = parse_row(line).map_err(|(column, message)| PriceError {
                line: number + 1,
                column,
                message,
            })?;
            if let Some(first) =
                prices.rows.iter().find(|other| other.matches(&row.region, row.charge, row.unit))
            {
                let message = format!(
                    "duplicate price for {} per {} in {}: first defined on line {}",
                    row.charge.as_str(),
                    row.unit.as_str(),
                    row.region,
                    first.line
                );
                return Err(PriceError { line: number + 1, column: 1, message });
            }
            prices.rows.push(PriceRow { line: number + 1, ..row });
        }
        Ok(prices)
    }

    /// Returns the price of a charge in a region: the region's own, otherwise that for all regions.
    pub fn find(&self, region: &Region, charge: Charge, unit: PricingUnit) -> Option<&Price> {
        self.find_exact(region.as_str(), charge, unit).or_else(|| self.find_exact("*", charge, unit))
    }

    /// Returns the newest date in the table.
    pub fn newest_date(&self) -> Option<&str> {
        self.rows.iter().map(|row| row.price.date.as_str()).max()
    }

    fn find_exact(&self, region: &str, charge: Charge, unit: PricingUnit) -> Option<&Price> {
        self.rows.iter().find(|row| row.matches(region, charge, unit)).map(|row| &row.price)
    }
}

impl PriceRow {
    fn matches(&self, region: &str, charge: Charge, unit: PricingUnit) -> bool {
        self.region == region && self.charge == charge && self.unit == unit
    }
}

/// Parses a row. The error consists of the column and the message.
fn parse_row(line: &str) -> Result<PriceRow, (usize, String)> {
    let mut cells = Vec::new();
    let mut column = 1;
    for cell in line.split('\t') {
        cells.push((column, cell));
        column += cell.chars().count() + 1;
    }
    let count = cells.len();
    let [region, charge, unit, usd, date, source]: [(usize, &str); 6] =
        cells.try_into().map_err(|_| (1, format!("expected 6 columns separated by tabs, found {count}")))?;
    if region.1 != "*" {
        Region::parse(region.1)
            .map_err(|_| (region.0, format!("invalid region `{}`: expected a region or `*`", region.1)))?;
    }
    let known = || Charge::ALL.iter().map(|charge| charge.as_str()).collect::<Vec<_>>().join(", ");
    let charge_named = Charge::ALL.iter().find(|known| known.as_str() == charge.1);
    let charge = *charge_named
        .ok_or_else(|| (charge.0, format!("unknown charge `{}`: expected one of {}", charge.1, known())))?;
    let unit = match unit.1 {
        "hour" => PricingUnit::Hour,
        "gb" => PricingUnit::Gb,
        other => return Err((unit.0, format!("invalid unit `{other}`: expected hour or gb"))),
    };
    let is_decimal = |text: &str| {
        let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |t: &str| !t.is_empty() && t.len() <= 12 && t.bytes().all(|b| b.is_ascii_digit());
        digits(integer) && digits(fraction)
    };
    if !is_decimal(usd.1) {
        return Err((usd.0, format!("invalid price `{}`: expected US dollars, such as 0.045", usd.1)));
    }
    if !is_date(date.1) {
        return Err((date.0, format!("invalid date `{}`: expected a date such as 2026-09-25", date.1)));
    }
    if source.1.trim().is_empty() {
        return Err((source.0, "missing source".to_owned()));
    }
    let price = Price { usd: usd.1.to_owned(), date: date.1.to_owned(), source: source.1.to_owned() };
    Ok(PriceRow { line: 0, region: region.1.to_owned(), charge, unit, price })
}

/// Returns whether a string is a calendar date, such as `2026-09-25` (RFC 3339, `full-date`).
fn is_date(text: &str) -> bool {
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())?
    };
    let mut parts = text.splitn(3, '-');
    let mut next = |digits| parts.next().and_then(|part| number(part, digits));
    let (Some(year), Some(month), Some(day)) = (next(4), next(2), next(2)) else { return false };
    (1..=days_in_month(year, month)).contains(&day)
}

/// Returns the number of days in a month of the Gregorian calendar, counted from 1; 0 if there is no such
/// month.
fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_parsed() {
        let prices = &super::super::Facts::built_in().prices;
        let tokyo = Region::parse("ap-northeast-1").unwrap();
        let usd = |charge, unit| prices.find(&tokyo, charge, unit).map(|price| price.usd.as_str());
        assert_eq!(usd(Charge::NatGateway, PricingUnit::Gb), Some("0.062"));
        assert_eq!(usd(Charge::PublicIpv4, PricingUnit::Hour), Some("0.005"));
        assert_eq!(usd(Charge::PrivateConnection, PricingUnit::Hour), None);
        assert!(prices.newest_date().is_some());
    }

    #[test]
    fn errors_state_the_position() {
        let valid = "us-east-1\tnat-gateway\thour\t0.045\t2026-01-01\thttps://example.com";
        let error = |from: &str, to: &str| {
            Prices::parse(&format!("# head\n{}\n", valid.replace(from, to))).unwrap_err().to_string()
        };
        assert!(Prices::parse(valid).is_ok());
        assert_eq!(error("us-east-1", "us"), "2:1: invalid region `us`: expected a region or `*`");
        assert_eq!(error("hour", "day"), "2:23: invalid unit `day`: expected hour or gb");
        assert_eq!(error("0.045", "-1"), "2:28: invalid price `-1`: expected US dollars, such as 0.045");
        assert_eq!(
            error("2026-01-01", "2026-13-01"),
            "2:34: invalid date `2026-13-01`: expected a date such as 2026-09-25"
        );
        assert!(error("nat-gateway", "nat").starts_with("2:11: unknown charge `nat`: expected one of "));
        assert_eq!(error("\t0.045", ""), "2:1: expected 6 columns separated by tabs, found 5");
        assert_eq!(error(valid, "prices"), "2:1: expected 6 columns separated by tabs, found 1");
        let twice = Prices::parse(&format!("{valid}\n{valid}\n")).unwrap_err();
        assert_eq!(
            twice.to_string(),
            "2:1: duplicate price for nat-gateway per hour in us-east-1: first defined on line 1"
        );
    }

    #[test]
    fn dates_are_checked_against_the_calendar() {
        for day in ["2026-09-25", "2026-01-31", "2024-02-29", "2000-02-29", "2026-12-31"] {
            assert!(is_date(day), "{day}");
        }
        for text in [
            "2026-02-31",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-00-10",
            "2026-13-01",
            "2026-01-00",
            "2026-01-32",
            "2026-1-01",
            "26-01-01",
            "2026-01-01-01",
            "2026-01",
            "+026-01-01",
            "",
        ] {
            assert!(!is_date(text), "{text}");
        }
    }

    #[test]
    fn spreadsheet_exports_are_parsed() {
        let row = "us-east-1\tnat-gateway\thour\t0.045\t2026-01-01\thttps://example.com";
        let prices =
            Prices::parse_bytes(format!("\u{feff}{row}\r\n  \r\n  # a comment\r\n").as_bytes()).unwrap();
        let price = prices.find(&Region::parse("us-east-1").unwrap(), Charge::NatGateway, PricingUnit::Hour);
        assert_eq!(price.map(|price| price.source.as_str()), Some("https://example.com"));
        let latin = [row.as_bytes(), b"\nus-east-1\t\xe9"].concat();
        assert_eq!(Prices::parse_bytes(&latin).unwrap_err().to_string(), "2:11: the file is not valid UTF-8");
    }
}
