
drawAll();
