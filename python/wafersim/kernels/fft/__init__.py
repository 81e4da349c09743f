"""The 3-D FFT by pencils."""
