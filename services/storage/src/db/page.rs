//! Pages that are bounded by what they take, beside how many rows they have.

use futures::{Stream, TryStreamExt};

/// Rows from the first on, until they come to more than one answer could tell; `size`: bytes of a row in the answer.
pub(super) async fn until_full<R>(
    rows: impl Stream<Item = Result<R, sqlx::Error>>,
    size: impl Fn(&R) -> usize,
) -> Result<Vec<R>, sqlx::Error> {
    let mut rows = std::pin::pin!(rows);
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes <= tandem_chassis::MAX_MESSAGE_BYTES
        && let Some(row) = rows.try_next().await?
    {
        bytes += size(&row);
        page.push(row);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_ends_behind_the_row_that_makes_it_too_long() {
        let rows = |size: usize| futures::stream::iter((0..100).map(move |_| Ok(size)));
        assert_eq!(until_full(rows(1), |size| *size).await.unwrap().len(), 100);
        let third = tandem_chassis::MAX_MESSAGE_BYTES / 3;
        assert_eq!(until_full(rows(third), |size| *size).await.unwrap().len(), 4);
    }
}
