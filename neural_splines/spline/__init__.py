"""Fields: kernels, Nyström centres, products, solvers, and one spline made of them."""
