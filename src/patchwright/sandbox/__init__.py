"""Where commands run and files are touched: bubblewrap, Docker, or, if the user says so, the bare machine."""
