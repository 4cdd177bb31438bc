"""`python -m benchmarks serve | index | train | report`: the speed of the hot path.

worlds grown        what is served: the simulated province, and the same grown to a country
floor peer          what it is compared with: an empty handler, and an afternoon's work
children rounds     processes, and interleaved measuring of them
quality             overlap with the exhaustive ranking, NDCG against the ground truth
serve_* index train the commands; report draws what they found
"""
