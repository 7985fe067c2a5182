"""A model behind an OpenAI-compatible endpoint that puts a retriever's best items in order.

`prompt` writes the question, `client` sends it once, `asking` tries again, keeps the answer
(`kept_answers`) and counts dollars (`spending`), `answers` reads an order out of it, and
`recommender` is the family. Only `client` knows the network.
"""
