"""Published tables, a zoo's or a paper's, as records.

    eb.import_tables(["results.csv", "speed.csv"], on="arch,img_size").save(folder)

A table is read as text, cell by cell: the digits that were published are the figures, and say how far they were
rounded. `layouts` holds tables that are known by their header; `mapping` reads what a user says of others.
"""
