"""Points and what is known of them: cleaning, neighbours, spacings, outliers, warnings."""
