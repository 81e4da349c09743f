"""Dense products: GEMM by four algorithms, GEMV by three, the product inside a PE."""
